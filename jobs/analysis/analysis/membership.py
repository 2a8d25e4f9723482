"""Who this process is in its gang, as Batch's environment says."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from spotline.layout import parent_job_id
from spotline.settings import SettingsError


class Formation(StrEnum):
    """How Batch started the members, which decides how they find each other."""

    ARRAY = "array"
    MULTI_NODE = "multi-node"
    ALONE = "alone"


@dataclass(frozen=True)
class Member:
    """One member of a gang; member 0 is the leader.

    `leader_address` is only known beforehand to the members of a multi-node job that are not the leader.
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
            return cls._of_multi_node(environ, parent_job_id(job_id))
        if "AWS_BATCH_JOB_ARRAY_INDEX" in environ:
            index, size = _number(environ, "AWS_BATCH_JOB_ARRAY_INDEX"), _number(environ, "AWS_BATCH_JOB_ARRAY_SIZE")
            return cls(_within(index, size), size, parent_job_id(job_id), Formation.ARRAY)
        return cls(0, 1, parent_job_id(job_id), Formation.ALONE)

    @classmethod
    def _of_multi_node(cls, environ: Mapping[str, str], job_id: str) -> "Member":
        size = _number(environ, "AWS_BATCH_JOB_NUM_NODES")
        node, main = _number(environ, "AWS_BATCH_JOB_NODE_INDEX"), _number(environ, "AWS_BATCH_JOB_MAIN_NODE_INDEX")
        index = (_within(node, size) - _within(main, size)) % size
        address = environ.get("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS")
        if index and not address:
            raise SettingsError("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS is not set on a child node")
        return cls(index, size, job_id, Formation.MULTI_NODE, address if index else None)


def _number(environ: Mapping[str, str], variable: str) -> int:
    text = environ.get(variable, "")
    if not text.isdecimal():
        raise SettingsError(f"{variable}={text!r} is not a whole number; Batch sets it beside the job's index")
    return int(text)


def _within(index: int, size: int) -> int:
    if index >= size:
        raise SettingsError(f"the member's index {index} is outside a gang of {size}")
    return index
