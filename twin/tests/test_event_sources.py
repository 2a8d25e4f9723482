"""What AWS's services tell EventBridge: S3 of objects, Step Functions of executions."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from clouds.recorded import recording, shape
from clouds.steps import ACCOUNT, S3_EVENTS, StepsCloud, only


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html")
def test_an_executions_changes_are_events(cloud: StepsCloud) -> None:
    queue = cloud.queue("statuses")
    cloud.rule("statuses", {"source": ["aws.states"]}, queue)
    cloud.functions["f"] = lambda event: 1 / 0
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "f"},
        "End": True,
    }

    execution = cloud.start(only(state), {"a": 1})
    cloud.ended(execution)
    cloud.client("stepfunctions").redrive_execution(executionArn=execution)
    cloud.ended(execution)

    bodies = cloud.bodies(queue)
    assert Counter((e["detail"]["status"], e["detail"]["redriveCount"]) for e in bodies) == Counter(
        [("RUNNING", 0), ("FAILED", 0), ("RUNNING", 1), ("FAILED", 1)]
    )
    failed = next(e for e in bodies if e["detail"]["status"] == "FAILED" and e["detail"]["redriveCount"] == 0)
    assert failed["detail-type"] == "Step Functions Execution Status Change"
    assert failed["resources"] == [execution]
    detail = failed["detail"]
    assert (detail["error"], detail["input"], detail["output"]) == ("ZeroDivisionError", '{"a": 1}', None)
    assert isinstance(detail["startDate"], int)
    assert detail["stopDate"] >= detail["startDate"]
    assert detail["redriveStatus"] == "REDRIVABLE"


def watched_bucket(cloud: StepsCloud, name: str) -> tuple[Any, str]:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}})
    queue = cloud.queue(name)
    cloud.rule(name, {"source": ["aws.s3"], "detail": {"bucket": {"name": [name]}}}, queue)
    return s3, queue


@pytest.mark.documented("https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html")
def test_a_put_object_is_announced_as_s3_shapes_it(cloud: StepsCloud) -> None:
    s3, queue = watched_bucket(cloud, "puts")

    put = s3.put_object(Bucket="puts", Key="data/a b+c%41é.csv", Body=b"hello")

    (event,) = cloud.bodies(queue)
    assert (event["detail-type"], event["resources"]) == ("Object Created", ["arn:aws:s3:::puts"])
    detail = event["detail"]
    assert detail["bucket"] == {"name": "puts"}
    assert detail["object"] == {
        "key": "data/a b+c%41é.csv",
        "size": 5,
        "etag": put["ETag"].strip('"'),
        "version-id": put["VersionId"],
        "sequencer": detail["object"]["sequencer"],
    }
    assert (detail["reason"], detail["version"], detail["requester"]) == ("PutObject", "0", ACCOUNT)


@pytest.mark.documented("https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html")
def test_an_object_created_event_has_the_shape_of_the_published_one(cloud: StepsCloud) -> None:
    s3, queue = watched_bucket(cloud, "published")

    s3.put_object(Bucket="published", Key="example-key", Body=b"hello")

    (event,) = cloud.bodies(queue)
    published = recording("s3-object-created")
    assert shape(event) == shape(published)
    for part in ("version", "detail-type", "source"):
        assert event[part] == published[part]
    for part in ("version", "event-version", "reason"):
        assert event["detail"][part] == published["detail"][part]
    assert int(event["detail"]["object"]["sequencer"], 16)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html",
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html",
)
def test_a_copy_and_a_multipart_upload_say_what_made_them(cloud: StepsCloud) -> None:
    s3, queue = watched_bucket(cloud, "makers")
    s3.put_object(Bucket="makers", Key="a", Body=b"1")
    s3.copy_object(Bucket="makers", Key="b", CopySource={"Bucket": "makers", "Key": "a"})
    upload = s3.create_multipart_upload(Bucket="makers", Key="c")["UploadId"]
    part = s3.upload_part(Bucket="makers", Key="c", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(
        Bucket="makers", Key="c", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]}
    )

    bodies = [(e["detail"]["object"]["key"], e["detail"]["reason"]) for e in cloud.bodies(queue)]

    # Each once: "Supported event types for SQS, SNS, and Lambda" (S3 user guide) has one type for each API that makes an object.
    assert sorted(bodies) == [("a", "PutObject"), ("b", "CopyObject"), ("c", "CompleteMultipartUpload")]


@pytest.mark.documented("https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html")
def test_sequencers_of_a_key_grow(cloud: StepsCloud) -> None:
    s3, queue = watched_bucket(cloud, "order")
    etags = [s3.put_object(Bucket="order", Key="k", Body=bytes([n]))["ETag"].strip('"') for n in range(5)]

    objects = [event["detail"]["object"] for event in cloud.bodies(queue)]

    in_order = sorted(objects, key=lambda entry: entry["sequencer"])
    assert [entry["etag"] for entry in in_order] == etags
    assert len({len(entry["sequencer"]) for entry in objects}) == 1


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-event-notifications-eventbridge.html"
)
def test_a_bucket_without_eventbridge_is_silent(cloud: StepsCloud) -> None:
    queue = cloud.queue("quiet")
    cloud.rule("quiet", S3_EVENTS, queue)
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="quiet")

    s3.put_object(Bucket="quiet", Key="k", Body=b"")

    assert cloud.bodies(queue) == []
