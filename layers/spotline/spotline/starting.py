"""Starting runs, and asking for a message: what `ingest` and `sweep` do at their edges."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from spotline.contracts.document import MOST_BYTES as MOST_CONTRACT_BYTES
from spotline.documents import DocumentError, parse_object
from spotline.executions import CLOCKS_DIFFER
from spotline.layout import MalformedKey, contract_key, parse_data_key
from spotline.objects import ObjectMissing, S3Objects
from spotline.runs import Run, Source, is_share, run_id
from spotline.text import make_printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient


logger = Logger(child=True)

SHARES_CONFIG = Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=5)
"""For the client that contracts are read with: a run can do without a share, so that an S3 that does not answer costs it seconds."""


class Refused(ValueError):
    """The object is ours, but no run can be made of it; the message says why and what would be right."""


class Shares:
    """The shares of the queues that contracts name for their datasets, each contract read once.

    A contract that is missing, damaged or out of reach names none: the dataset's own share does as well, and `preprocess` says what is
    wrong with the contract. A contract that changes between two deliveries of one event changes nothing either: the execution's name is
    the lock, and StartExecution refuses it the second time whatever the input is.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._contracts = S3Objects(bucket, client=client)
        self._read: dict[str, str] = {}

    def of(self, dataset: str) -> str:
        """The share that a dataset's contract names; empty when it names none."""
        if dataset not in self._read:
            self._read[dataset] = self._find(contract_key(dataset))
        return self._read[dataset]

    def _find(self, key: str) -> str:
        try:
            body = self._contracts.read(key, MOST_CONTRACT_BYTES).body
            section = parse_object(body, self._contracts.location(key), MOST_CONTRACT_BYTES).get("spotline")
        except ObjectMissing:
            return ""
        except (DocumentError, ClientError, BotoCoreError) as error:
            logger.warning("the contract's share cannot be read, the dataset's own is taken", reason=str(error))
            return ""
        share = section.get("share") if isinstance(section, dict) else None
        return share if isinstance(share, str) and is_share(share) else ""


def run_of(source: Source, max_bytes: int, shares: Shares | None = None) -> Run:
    """Make the run of an object version, or raise `Refused`. Without `shares` its jobs count for the dataset's own share."""
    try:
        key = parse_data_key(source.key)
    except MalformedKey as malformed:
        raise Refused(str(malformed)) from malformed
    if source.size > max_bytes:
        raise Refused(
            f"'{make_printable(source.key)}' has {source.size} bytes, more than the {max_bytes} that the stack's parameter MaxObjectBytes allows"
        )
    share = shares.of(key.dataset) if shares is not None else ""
    return Run(run_id=run_id(source, key), dataset=key.dataset, day=key.day, source=source, share=share)


def start_run(client: SFNClient, state_machine_arn: str, run: Run) -> bool:
    """Start the execution of a run, and say whether this call, or one a moment before it, was the first.

    Always called, never preceded by a look: StartExecution with the same name and input is idempotent while the execution runs,
    and refuses the name afterwards (StartExecution, Step Functions API reference). Either way the run exists.
    """
    called = datetime.now(UTC)
    try:
        answer = client.start_execution(stateMachineArn=state_machine_arn, name=run.run_id, input=run.to_input())
    except client.exceptions.ExecutionAlreadyExists:
        return False
    return answer["startDate"] >= called - CLOCKS_DIFFER


def ask_to_tell(client: LambdaClient, notify_function: str, message: Mapping[str, Any]) -> None:
    """Hand a message to `notify`, which answers later: what Slack does is none of the caller's business."""
    client.invoke(FunctionName=notify_function, InvocationType="Event", Payload=json.dumps(message).encode())
