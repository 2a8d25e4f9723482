"""An account for `sweep`, as moto plays it: the buckets, a state machine, and the function with its settings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3

import sweep
from spotline.layout import parse_data_key
from spotline.runs import Source, run_id

if TYPE_CHECKING:
    import pytest

WAIT = json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}})
BACKFILL = {"from": "20130201", "to": "20130228", "dataset": "flights"}


@dataclass
class Context:
    """Time enough, unless a test says how much."""

    milliseconds: int = 900_000
    function_name: str = "sweep"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:sweep"
    aws_request_id: str = "52fdfc07-2182-454f-963f-5f0f9a621d72"

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


class Invocations:
    """Lambda, which remembers what it was asked for and does nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> None:  # noqa: N803
        assert InvocationType == "Event"
        self.asked.append((FunctionName, json.loads(Payload)))

    def of(self, function: str) -> list[dict[str, Any]]:
        return [payload for name, payload in self.asked if name == function]


class Account:
    """The buckets, a state machine, and the function with its settings."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.s3 = boto3.client("s3")
        self.steps = boto3.client("stepfunctions")
        self.functions = Invocations()
        self.dynamodb = boto3.client("dynamodb")
        self.dynamodb.create_table(
            TableName="runs",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        for bucket in ("ingest", "results"):
            self.s3.create_bucket(Bucket=bucket)
        self.s3.put_bucket_versioning(Bucket="ingest", VersioningConfiguration={"Status": "Enabled"})
        self.machine = self.steps.create_state_machine(
            name="pipeline", definition=WAIT, roleArn="arn:aws:iam::123456789012:role/pipeline"
        )["stateMachineArn"]
        for name, value in {
            "INGEST_BUCKET": "ingest",
            "RESULTS_BUCKET": "results",
            "RUNS_TABLE": "runs",
            "STATE_MACHINE_ARN": self.machine,
            "NOTIFY_FUNCTION": "notify",
            "RECONCILE_FUNCTION": "reconcile",
            "MAX_OBJECT_BYTES": "1000",
            "LOOK_BACK_DAYS": "3",
        }.items():
            monkeypatch.setenv(name, value)
        real = boto3.client
        monkeypatch.setattr(
            boto3, "client", lambda name, **more: self.functions if name == "lambda" else real(name, **more)
        )

    def land(self, key: str, size: int = 9) -> str:
        """Put a file; answers the id of its run."""
        version = self.s3.put_object(Bucket="ingest", Key=key, Body=b"x" * size)["VersionId"]
        try:
            return run_id(Source("ingest", key, version, size), parse_data_key(key))
        except ValueError:
            return ""

    def sweep(self, event: dict[str, Any] | None = None, **context: Any) -> dict[str, Any]:
        answer: dict[str, Any] = sweep.handler(event or {"kind": "sweep"}, Context(**context))  # type: ignore[arg-type]
        return answer

    def executions(self) -> list[str]:
        return sorted(found["name"] for found in self.steps.list_executions(stateMachineArn=self.machine)["executions"])

    def input_of(self, run: str) -> dict[str, Any]:
        arn = f"{self.machine.replace(':stateMachine:', ':execution:')}:{run}"
        started: dict[str, Any] = json.loads(self.steps.describe_execution(executionArn=arn)["input"])
        return started

    def stop(self, run: str) -> None:
        self.steps.stop_execution(executionArn=f"{self.machine.replace(':stateMachine:', ':execution:')}:{run}")
