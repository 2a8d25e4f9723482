"""What whoever estimates costs is told by template.yaml; apart from `spotline.costing`, because reading it must be quick to import."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CostSettings:
    """Where a run's jobs, prices and checkpoints are found.

    `job_queues` names every queue that a job of a run may be in, and `spot_queues` those of them that buy on Spot or try it first,
    separated by commas. `gang_instance_type` is what one member runs on.
    """

    job_queues: str
    spot_queues: str
    gang_instance_type: str
    ingest_bucket: str
    results_bucket: str

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues, each once."""
        return tuple(dict.fromkeys(filter(None, self.job_queues.split(","))))
