"""What jobs that do nothing leave behind, so that their run goes on all the same.

With ``jobs="noop"`` no program runs, and what is measured is the rest: triggers, state machine, functions, queues. The state
machine reads from preprocess's manifest that there is something to analyse, and `reconcile` takes no gang's word without one; so
the stand-in leaves these two, with nothing in them. Jobs that are not Spotline's leave nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.s3.models import s3_backends

from spotline import layout
from spotline.manifests import AnalysisManifest, CleanManifest, digest
from twin import credentials

if TYPE_CHECKING:
    from twin.compute.jobs import Job


def leave_manifest(job: Job) -> None:
    """Publish what the job's stage would, as if it had found no row."""
    environment = job.specs[job.main_node].environment
    stage = job.submission.tags.get("spotline:stage")
    if stage == "preprocess":
        _leave_clean(environment)
    elif stage == "analysis" and not job.array_index:  # the leader publishes, and it alone
        _leave_analysis(environment, layout.parent_job_id(job.id))


def _leave_clean(environment: dict[str, str]) -> None:
    manifest = CleanManifest(
        source={
            "bucket": environment["SOURCE_BUCKET"],
            "key": environment["SOURCE_KEY"],
            "version_id": environment["SOURCE_VERSION_ID"],
        },
        rows_read=0,
        rows_clean=0,
        rows_rejected=0,
        shards=(),
        rejected=(),
        categories={},
        contract="contract.json",
        quality="quality.json",
        analyse=True,
    )
    key = layout.preprocess_prefix(environment["RUN_ID"]) + layout.MANIFEST
    _put(environment["INTERMEDIATE_BUCKET"], key, manifest.to_json(), analyse="yes")


def _leave_analysis(environment: dict[str, str], job_id: str) -> None:
    run, bucket = environment["RUN_ID"], environment["INTERMEDIATE_BUCKET"]
    clean = layout.preprocess_prefix(run) + layout.MANIFEST
    manifest = AnalysisManifest(
        clean=f"s3://{bucket}/{clean}",
        clean_digest=digest(_read(bucket, clean)),
        members=int(environment["GANG_MEMBERS"]),
        rounds=0,
        resumed_from=None,
        parts=(),
        model="model.ubj",
        job_id=job_id,
        generation=int(environment["GENERATION"]),
    )
    _put(environment["RESULTS_BUCKET"], layout.analysis_prefix(run) + layout.MANIFEST, manifest.to_json())


def _read(bucket: str, key: str) -> bytes:
    stored = s3_backends[credentials.account()]["aws"].get_object(bucket, key)
    if stored is None:
        raise LookupError(f"there is no s3://{bucket}/{key}: no preprocess has run here")
    return stored.value


def _put(bucket: str, key: str, body: bytes, **metadata: str) -> None:
    """Past HTTP, which is no part of what is measured."""
    stored = s3_backends[credentials.account()]["aws"].put_object(bucket, key, body)
    stored.set_metadata({f"x-amz-meta-{name}": value for name, value in metadata.items()})
