"""`ingest`: an object landed in the ingest bucket; start its run.

The event is delivered at least once and in any order. The execution's name is the lock: it is derived from bucket, key and
version, so that starting a run again is no start.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config

from spotline import settings
from spotline.documents import DocumentError, build, check, show
from spotline.layout import is_ours
from spotline.metrics import NAMESPACE
from spotline.runs import Source
from spotline.starting import SHARES_CONFIG, Refused, Shares, ask_to_tell, run_of, start_run
from spotline.text import make_printable

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics(namespace=os.environ.get(NAMESPACE, "Spotline"))


@dataclass(frozen=True)
class Settings:
    """What template.yaml tells this function. `max_object_bytes` bounds what a run may cost."""

    state_machine_arn: str
    notify_function: str
    max_object_bytes: int


CONFIG = Config(retries={"mode": "standard", "max_attempts": 8})


# What is counted of each outcome; a function's metrics carry its name as their dimension.
COUNTED = {
    "started": "FilesStarted",
    "already started": "FilesStartedBefore",
    "refused": "FilesRefused",
    "ignored": "FilesIgnored",
}


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:  # noqa: ARG001  Lambda's signature
    """Answer an EventBridge `Object Created` event. An exception makes Lambda try again, then the failure queue takes it."""
    answer = answer_landing(event, settings.load(Settings))
    metrics.add_metric(COUNTED[answer["outcome"]], MetricUnit.Count, 1)
    metrics.flush_metrics()  # here and not by `log_metrics`, which warns of nothing to publish after each exception
    return answer


def answer_landing(event: dict[str, Any], known: Settings) -> dict[str, str]:
    """Start the run of what landed, or say why there is none."""
    source = source_of(event)
    if not is_ours(source.key):
        logger.info("ignored: not under data/", key=make_printable(source.key, 2000))
        return {"outcome": "ignored"}
    try:
        run = run_of(source, known.max_object_bytes, Shares(boto3.client("s3", config=SHARES_CONFIG), source.bucket))
    except Refused as refusal:
        logger.warning("refused", key=make_printable(source.key, 2000), reason=str(refusal))
        ask_to_tell(
            boto3.client("lambda", config=CONFIG),
            known.notify_function,
            {"kind": "rejected-file", "bucket": source.bucket, "key": source.key, "reason": str(refusal)},
        )
        return {"outcome": "refused"}
    logger.append_keys(run_id=run.run_id)
    started = start_run(boto3.client("stepfunctions", config=CONFIG), known.state_machine_arn, run)
    logger.info("started" if started else "already started", key=source.key, version_id=source.version_id)
    return {"outcome": "started" if started else "already started", "run_id": run.run_id}


def source_of(event: dict[str, Any]) -> Source:
    """Read which object version landed, or raise `DocumentError`: the failure queue takes an event that is none of S3's.

    `detail.object.key` is the literal key. S3's own notifications encode theirs like a URL and EventBridge's do not, so nothing
    here decodes it: `a+b%41.csv` is a file of that name ("Amazon S3 event message structure for EventBridge", S3 user guide).
    An object put before the bucket was versioned has the version `null`.
    """
    check(event, _EVENT)
    detail = _object_in(event, "detail")
    landed = _object_in(detail, "object")
    source = {
        "bucket": _object_in(detail, "bucket").get("name"),
        "key": landed.get("key"),
        "version_id": landed.get("version-id", "null"),
        "size": landed.get("size", 0),
    }
    return build(Source, source, _EVENT)


_EVENT = "the event"


def _object_in(document: Any, name: str) -> dict[str, Any]:
    found = document.get(name) if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise DocumentError(_EVENT, f"expected a JSON object, found {show(found)}", name)
    return found
