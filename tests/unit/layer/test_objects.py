"""One behaviour, two places: a local folder, and S3 as moto plays it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from spotline.objects import TEMPORARY_TAG, ObjectMissing, Objects, WriteRefused, open_object, open_objects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    if request.param == "folder":
        yield open_objects(str(tmp_path / "not there yet"))
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="results")
        yield open_objects("s3://results/runs/r/")


def test_what_was_written_is_read_with_its_tag(objects: Objects) -> None:
    etag = objects.write("a/b.json", b"{}")
    stored = objects.read("a/b.json")
    assert (stored.body, stored.etag) == (b"{}", etag)


def test_a_missing_object_is_named(objects: Objects) -> None:
    with pytest.raises(ObjectMissing, match=r"a\.json"):
        objects.read("a.json")


def test_the_first_writer_wins_where_nothing_may_lie(objects: Objects) -> None:
    objects.write("manifest.json", b"first", if_etag=None)
    with pytest.raises(WriteRefused):
        objects.write("manifest.json", b"second", if_etag=None)
    assert objects.read("manifest.json").body == b"first"


def test_a_writer_that_was_overtaken_is_refused(objects: Objects) -> None:
    # Given two writers that saw the same pointer
    seen = objects.write("pointer.json", b"round 10")
    # When one writes, and then the other
    objects.write("pointer.json", b"round 20", if_etag=seen)
    with pytest.raises(WriteRefused):
        objects.write("pointer.json", b"round 15", if_etag=seen)
    # Then the first one's word stands
    assert objects.read("pointer.json").body == b"round 20"


def test_a_condition_on_a_deleted_object_does_not_hold(objects: Objects) -> None:
    seen = objects.write("pointer.json", b"x")
    objects.delete("pointer.json")
    objects.delete("pointer.json")
    with pytest.raises(WriteRefused):
        objects.write("pointer.json", b"y", if_etag=seen)


def test_keys_are_listed_in_order_below_a_prefix(objects: Objects) -> None:
    for key in ("parts/part-0001.json", "parts/part-0000.json", "model.ubj"):
        objects.write(key, b"")
    assert list(objects.keys("parts/")) == ["parts/part-0000.json", "parts/part-0001.json"]
    assert list(objects.at("parts/").keys()) == ["part-0000.json", "part-0001.json"]


def test_a_location_leads_back_to_its_object(objects: Objects) -> None:
    objects.write("analysis/manifest.json", b"found")
    folder, key = open_object(objects.location("analysis/manifest.json"))
    assert folder.read(key).body == b"found"


def test_a_folder_holds_nothing_but_what_was_written(tmp_path: Path) -> None:
    objects = open_objects(str(tmp_path))
    etag = objects.write("pointer.json", b"1", if_etag=None)
    with pytest.raises(WriteRefused):
        objects.write("pointer.json", b"2", if_etag=None)
    objects.write("pointer.json", b"3", if_etag=etag)
    assert [path.name for path in tmp_path.iterdir()] == ["pointer.json"]


def test_a_temporary_object_is_read_as_any_other_and_carries_the_lifecycles_tag(objects: Objects) -> None:
    objects.write("checkpoints/round-1", b"model", temporary=True)
    objects.write("manifest.json", b"{}")
    assert objects.read("checkpoints/round-1").body == b"model"
    if objects.location().startswith("s3://"):
        tags = {
            key: boto3.client("s3").get_object_tagging(Bucket="results", Key=f"runs/r/{key}")["TagSet"]
            for key in ("checkpoints/round-1", "manifest.json")
        }
        assert tags == {
            "checkpoints/round-1": [dict(zip(("Key", "Value"), TEMPORARY_TAG, strict=True))],
            "manifest.json": [],
        }
