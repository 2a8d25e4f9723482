"""How members find their leader: a small record under the run's analysis prefix, keyed by the parent job's id."""

import json
from dataclasses import asdict, dataclass

from spotline.documents import KIB, DocumentError, build, parse_object
from spotline.layout import rendezvous_key
from spotline.objects import ObjectMissing, Objects

RECORD_BYTES = 16 * KIB


@dataclass(frozen=True)
class Rendezvous:
    """Where the leader of one generation of one job listens."""

    job_id: str
    generation: int
    address: str
    port: int


def announce(results: Objects, record: Rendezvous) -> None:
    """Write the record. Only this job writes under its key, so there is nothing to be conditional on."""
    results.write(rendezvous_key(record.job_id), json.dumps(asdict(record)).encode())


def find(results: Objects, job_id: str, generation: int) -> Rendezvous | None:
    """The leader's record, or None while there is none that can be read, or only one of another job or generation.

    Whoever waits for it gives up when the time for forming the gang is over.
    """
    name = results.location(rendezvous_key(job_id))
    try:
        body = results.read(rendezvous_key(job_id), RECORD_BYTES).body
        record = build(Rendezvous, parse_object(body, name, RECORD_BYTES), name)
    except (ObjectMissing, DocumentError):
        return None
    return record if (record.job_id, record.generation) == (job_id, generation) else None
