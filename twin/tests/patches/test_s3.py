"""The gaps of moto's S3 that `twin.patches.s3` fills are still there, in stock moto."""

from __future__ import annotations

import gc
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.s3.models import FakeKey, S3Backend

from clouds import clients
from twin import patches
from twin.patches import s3 as fixed

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


def announce(act: Callable[[Any], None]) -> list[dict[str, Any]]:
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
    first, second = announce(put)

    assert "etag" not in first["object"]
    assert first["reason"] == "ObjectCreated"
    assert first["object"]["version-id"] == "null", "S3 gives an unversioned object none"
    assert first["object"]["sequencer"] == second["object"]["sequencer"]


def test_moto_announces_a_multipart_upload_twice() -> None:
    assert [detail["object"]["key"] for detail in announce(upload_in_parts)] == ["c", "c"]


def test_moto_passes_by_the_first_version_after_a_key() -> None:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="bucket")
        s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        put(s3)

        listed = s3.list_object_versions(Bucket="bucket", KeyMarker="a")

        assert [version["Key"] for version in listed.get("Versions", [])] == ["b"], "this is what S3 lists"


def winners(condition: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> int:
    """How many of two callers, each of whom looks before either writes if that can be, write one object under one condition."""
    both_have_looked = threading.Barrier(2)
    look = S3Backend.get_object

    def slowly(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = look(self, *args, **kwargs)
        try:
            both_have_looked.wait(0.5)
        except threading.BrokenBarrierError:
            return found
        return found

    def write(body: bytes) -> bool:
        try:
            clients.client("s3").put_object(Bucket="bucket", Key="latest", Body=body, **condition)
        except ClientError as error:
            return error.response["Error"]["Code"] != "PreconditionFailed"
        return True

    with monkeypatch.context() as patched, ThreadPoolExecutor(2) as callers:
        patched.setattr(S3Backend, "get_object", slowly)
        return sum(callers.map(write, [b"one", b"two"]))


@pytest.mark.parametrize("condition", ["IfMatch", "IfNoneMatch"])
@pytest.mark.parametrize(("patched", "expected"), [(False, 2), (True, 1)], ids=["stock", "patched"])
def test_two_callers_may_write_under_one_condition_in_stock_moto(
    condition: str, patched: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mock_aws():
        s3 = clients.client("s3")
        s3.create_bucket(Bucket="bucket")
        value = "*"
        if condition == "IfMatch":
            value = s3.put_object(Bucket="bucket", Key="latest", Body=b"zero")["ETag"]
        if patched:
            fixed.write_one_object_at_a_time()
        try:
            assert winners({condition: value}, monkeypatch) == expected
        finally:
            patches.restore()


@pytest.mark.parametrize(("patched", "expected"), [(False, 4), (True, 0)], ids=["stock", "patched"])
def test_moto_copies_contents_to_list_versions(patched: bool, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[Any] = []
    state = FakeKey.__getstate__

    def noted(key: FakeKey) -> Any:
        copied.append(key)
        return state(key)

    with mock_aws():
        s3 = clients.client("s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        put(s3)
        put(s3)
        s3.put_object(Bucket="bucket", Key="a", Body=b"content")
        s3.delete_object(Bucket="bucket", Key="b")
        s3.delete_object(
            Bucket="bucket", Key="a", VersionId=s3.list_object_versions(Bucket="bucket")["Versions"][1]["VersionId"]
        )
        if patched:
            fixed.list_versions_without_their_contents()
        monkeypatch.setattr(FakeKey, "__getstate__", noted)
        try:
            listed = s3.list_object_versions(Bucket="bucket")
        finally:
            patches.restore()

        gc.collect()
        kept = s3.get_object(Bucket="bucket", Key="a")["Body"].read()

    assert len(copied) == expected
    assert kept == b"content"
    # Listed are the latest first, and what is deleted as such.
    assert [(it["Key"], it["IsLatest"]) for it in listed["Versions"]] == [
        ("a", True),
        ("a", False),
        ("b", False),
        ("b", False),
    ]
    assert [(it["Key"], it["IsLatest"]) for it in listed["DeleteMarkers"]] == [("b", True)]
