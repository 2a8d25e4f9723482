"""Which member of the gang this process is, by Batch's variables, and how members find their leader: by a small record in S3."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from spotline.documents import KIB, DocumentError, build, parse_object
from spotline.layout import parent_job_id, rendezvous_key
from spotline.objects import ObjectMissing, Objects
from spotline.settings import SettingsError

RECORD_BYTES = 16 * KIB


class Formation(StrEnum):
    """How Batch started the members, which decides how they find each other."""

    ARRAY = "array"
    MULTI_NODE = "multi-node"
    ALONE = "alone"


@dataclass(frozen=True)
class Member:
    """One member of a gang; member 0 is the leader.

    `leader_address` is set for the members of a multi-node job that are not the leader: Batch gives it to them.
    """

    index: int
    size: int
    job_id: str
    formation: Formation
    leader_address: str | None = None

    @property
    def leads(self) -> bool:
        """Whether this member is the leader."""
        return self.index == 0

    @classmethod
    def discover(cls, environ: Mapping[str, str]) -> "Member":
        """Read the member from the variables that Batch sets ("AWS Batch job environment variables", Batch user guide).

        Raises
        ------
        SettingsError
            When the variables contradict each other, or this is no Batch job at all.

        Examples
        --------
        >>> Member.discover({"AWS_BATCH_JOB_ID": "j:1", "AWS_BATCH_JOB_ARRAY_INDEX": "1", "AWS_BATCH_JOB_ARRAY_SIZE": "4"})
        Member(index=1, size=4, job_id='j', formation=<Formation.ARRAY: 'array'>, leader_address=None)
        """
        job_id = environ.get("AWS_BATCH_JOB_ID", "")
        if not job_id:
            raise SettingsError(
                "AWS_BATCH_JOB_ID is not set: without arguments this program is a member of a gang that AWS Batch started;"
                " on the command line give it --input DIR --output DIR --members N"
            )
        if "AWS_BATCH_JOB_NUM_NODES" in environ:
            return cls._read_multi_node(environ, parent_job_id(job_id))
        if "AWS_BATCH_JOB_ARRAY_INDEX" in environ:
            index, size = (
                _read_number(environ, "AWS_BATCH_JOB_ARRAY_INDEX"),
                _read_number(environ, "AWS_BATCH_JOB_ARRAY_SIZE"),
            )
            return cls(_check_index(index, size), size, parent_job_id(job_id), Formation.ARRAY)
        return cls(0, 1, parent_job_id(job_id), Formation.ALONE)

    @classmethod
    def _read_multi_node(cls, environ: Mapping[str, str], job_id: str) -> "Member":
        size = _read_number(environ, "AWS_BATCH_JOB_NUM_NODES")
        node, main = (
            _read_number(environ, "AWS_BATCH_JOB_NODE_INDEX"),
            _read_number(environ, "AWS_BATCH_JOB_MAIN_NODE_INDEX"),
        )
        index = (_check_index(node, size) - _check_index(main, size)) % size
        address = environ.get("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS")
        if index and not address:
            raise SettingsError("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS is not set on a child node")
        return cls(index, size, job_id, Formation.MULTI_NODE, address if index else None)


@dataclass(frozen=True)
class Rendezvous:
    """Where the leader of one generation of one job listens: a record under the run's analysis prefix, keyed by the parent job's id."""

    job_id: str
    generation: int
    address: str
    port: int


def announce_leader(results: Objects, record: Rendezvous) -> None:
    """Write the record. Only this job writes under its key, so there is nothing to be conditional on."""
    results.write(rendezvous_key(record.job_id), json.dumps(asdict(record)).encode())


def find_leader(results: Objects, job_id: str, generation: int) -> Rendezvous | None:
    """The leader's record, or None while there is none that can be read, or only one of another job or generation.

    A member that waits for it gives up when the time for forming the gang is over.
    """
    name = results.location(rendezvous_key(job_id))
    try:
        body = results.read(rendezvous_key(job_id), RECORD_BYTES).body
        record = build(Rendezvous, parse_object(body, name, RECORD_BYTES), name)
    except (ObjectMissing, DocumentError):
        return None
    return record if (record.job_id, record.generation) == (job_id, generation) else None


def _read_number(environ: Mapping[str, str], variable: str) -> int:
    text = environ.get(variable, "")
    if not text.isdecimal():
        raise SettingsError(f"{variable}={text!r} is not a whole number; Batch sets it beside the job's index")
    return int(text)


def _check_index(index: int, size: int) -> int:
    if index >= size:
        raise SettingsError(f"the member's index {index} is outside a gang of {size}")
    return index
