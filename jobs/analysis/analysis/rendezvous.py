"""How members find their leader: a small record under the run's analysis prefix, keyed by the parent job's id."""

import json
from dataclasses import asdict, dataclass

from spotline.layout import rendezvous_key
from spotline.objects import ObjectMissing, Objects


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
    """The leader's record, or None while there is none, or only one of another job or generation."""
    try:
        body = results.read(rendezvous_key(job_id)).body
    except ObjectMissing:
        return None
    record = Rendezvous(**json.loads(body))
    return record if (record.job_id, record.generation) == (job_id, generation) else None
