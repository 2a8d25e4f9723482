"""The gap of moto's S3 that `twin.patches.s3` fills is still there, in stock moto."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Callable


def put(s3: Any) -> None:
    for key in ("a", "b"):
        s3.put_object(Bucket="bucket", Key=key, Body=b"")


def upload_in_parts(s3: Any) -> None:
    upload = s3.create_multipart_upload(Bucket="bucket", Key="c")["UploadId"]
    about = {"Bucket": "bucket", "Key": "c", "UploadId": upload}
    part = {"PartNumber": 1, "ETag": s3.upload_part(**about, PartNumber=1, Body=b"x")["ETag"]}
    s3.complete_multipart_upload(**about, MultipartUpload={"Parts": [part]})


def told(act: Callable[[Any], None]) -> list[dict[str, Any]]:
    """What stock moto tells EventBridge of what `act` does with a bucket."""
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
        act(s3)
        found = [sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] for _ in range(2)]
    return [json.loads(body)["detail"] for body in found]


def test_motos_object_events_are_not_shaped_as_s3s() -> None:
    first, second = told(put)

    assert "etag" not in first["object"]
    assert first["reason"] == "ObjectCreated"
    assert first["object"]["version-id"] == "null", "S3 gives an unversioned object none"
    assert first["object"]["sequencer"] == second["object"]["sequencer"]


def test_moto_announces_a_multipart_upload_twice() -> None:
    assert [detail["object"]["key"] for detail in told(upload_in_parts)] == ["c", "c"]


def test_moto_passes_by_the_first_version_after_a_key() -> None:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="bucket")
        s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        put(s3)

        listed = s3.list_object_versions(Bucket="bucket", KeyMarker="a")

        assert [version["Key"] for version in listed.get("Versions", [])] == ["b"], "this is what S3 lists"
