"""A run on AWS: what to read and where to write stands in the environment that Batch gives the job."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from preprocess import s3
from preprocess.job import Job, Options, user_metadata
from preprocess.progress import Progress
from preprocess.refusals import Misconfigured
from spotline import layout
from spotline.contracts import MOST_BYTES, Contract
from spotline.objects import ObjectMissing, S3Objects, WriteRefused
from spotline.settings import SettingsError, load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client

log = logging.getLogger("preprocess")


@dataclass(frozen=True)
class Settings:
    """The job's environment."""

    run_id: str
    dataset: str
    source_bucket: str
    source_key: str
    source_version_id: str
    intermediate_bucket: str
    aws_batch_job_id: str
    preprocess_workers: int = 2  # as many as the job has processors, which a container on EC2 cannot tell


def run(environ: Mapping[str, str]) -> None:
    """Preprocess one version of one object.

    A run has one clean manifest: an attempt that finds one leaves it as it is. Until there is one, each attempt begins with the
    newest contract, so that a run which was refused succeeds after the contract was mended.
    """
    try:
        settings = load(Settings, environ)
    except SettingsError as cause:
        raise Misconfigured(str(cause)) from cause
    for name in ("run_id", "dataset", "source_bucket", "source_key", "intermediate_bucket", "aws_batch_job_id"):
        if not getattr(settings, name):
            raise Misconfigured(f"{name.upper()} is empty; the state machine sets it for every job")
    client = s3.connect()
    prefix = layout.preprocess_prefix(settings.run_id)
    objects = S3Objects(settings.intermediate_bucket, prefix, client)
    with s3.explained(objects.location(layout.MANIFEST), "read"):
        try:
            objects.read(layout.MANIFEST)
        except ObjectMissing:
            pass
        else:
            log.info("an earlier attempt has finished this run already: %s", objects.location(layout.MANIFEST))
            return
    contract = _adopt_contract(client, settings)
    source = s3.S3Source(client, settings.source_bucket, settings.source_key, settings.source_version_id)
    folder = f"{layout.parent_job_id(settings.aws_batch_job_id)}/"
    output = s3.S3Output(client, settings.intermediate_bucket, prefix + folder)
    log.info("reading %s, version %s, %d bytes", source.name, settings.source_version_id, source.size)
    options = Options(workers=settings.preprocess_workers)
    manifest = Job(
        source,
        contract,
        output,
        Progress(source.size),
        contract_path="../contract.json",
        prefix=folder,
        options=options,
    ).run()
    location = objects.location(layout.MANIFEST)
    with s3.explained(location, "written"):
        try:
            objects.write(layout.MANIFEST, manifest.to_json(), if_etag=None, metadata=user_metadata(manifest))
        except WriteRefused:
            log.info("another attempt has finished this run meanwhile: %s", location)
            return
    log.info(
        "%d rows read, %d clean, %d rejected: %s",
        manifest.rows_read,
        manifest.rows_clean,
        manifest.rows_rejected,
        location,
        extra={
            "rows_read": manifest.rows_read,
            "rows_clean": manifest.rows_clean,
            "rows_rejected": manifest.rows_rejected,
            "shards": len(manifest.shards),
        },
    )


def _adopt_contract(client: S3Client, settings: Settings) -> Contract:
    """Read the newest contract of the dataset and keep a copy in the run: later stages read only that."""
    source = S3Objects(settings.source_bucket, client=client)
    key = layout.contract_key(settings.dataset)
    with s3.explained(source.location(key), "read"):
        try:
            body = source.read(key, MOST_BYTES).body
        except ObjectMissing as cause:
            raise Misconfigured(
                f"{source.location(key)}: the dataset {settings.dataset!r} has no contract; put one there and redrive the execution"
            ) from cause
    contract = Contract.from_json(body)
    target = S3Objects(settings.intermediate_bucket, client=client)
    key = layout.run_contract_key(settings.run_id)
    with s3.explained(target.location(key), "written"):
        target.write(key, body)
    return contract
