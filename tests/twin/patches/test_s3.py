"""The gap of moto's S3 that `twin.patches.s3` fills is still there, in stock moto."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from moto import mock_aws


@pytest.fixture
def details() -> list[dict[str, Any]]:
    """What stock moto tells EventBridge of two objects of one bucket."""
    with mock_aws():
        session = boto3.Session(region_name="us-east-1")
        s3, sqs, rules = session.client("s3"), session.client("sqs"), session.client("events")
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        rules.put_rule(Name="r", EventPattern=json.dumps({"source": ["aws.s3"], "detail-type": ["Object Created"]}))
        rules.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": "arn:aws:sqs:us-east-1:123456789012:q"}])
        s3.create_bucket(Bucket="bucket")
        s3.put_bucket_notification_configuration(
            Bucket="bucket", NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        for key in ("a", "b"):
            s3.put_object(Bucket="bucket", Key=key, Body=b"")
        found = [sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] for _ in range(2)]
    return [json.loads(body)["detail"] for body in found]


def test_motos_object_events_are_not_shaped_as_s3s(details: list[dict[str, Any]]) -> None:
    first, second = details

    assert "etag" not in first["object"]
    assert first["reason"] == "ObjectCreated"
    assert first["object"]["version-id"] == "null", "S3 gives an unversioned object none"
    assert first["object"]["sequencer"] == second["object"]["sequencer"]
