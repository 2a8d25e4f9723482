"""What a sweep lists grows with the objects in the bucket, a call for a thousand, and not with their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sweeping import work
from sweeping.listing import Landed, Passed, recent_versions
from tests.unit.functions.large_bucket import SINCE, Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client


def swept(bucket: Bucket, done: str = "") -> Iterator[Landed | Passed]:
    return recent_versions(cast("S3Client", bucket), "ingest", SINCE, done)


def test_a_million_objects_are_a_thousand_calls() -> None:
    # Given a million objects with 30 million versions, of which a hundred landed lately
    bucket = Bucket(1_000_000, recent_every=10_000)
    found = [one for one in swept(bucket) if isinstance(one, Landed)]
    assert len(found) == 100
    assert bucket.calls == {"objects": 1000, "versions": 100}


def test_a_sweep_stops_between_pages_and_goes_on_there() -> None:
    # Given ten pages of which nothing is to be done, and time for three
    bucket = Bucket(10_000, recent_every=10_001)
    bucket.recent.clear()
    turns = iter(range(100))
    tally = work.Tally()
    work.each(swept(bucket), tally, lambda: next(turns) >= 2, lambda _landed: None)
    assert (tally.seen, bucket.calls["objects"]) == (3000, 4)
    assert tally.stopped_after == bucket.keys[2999]
    # When the next invocation goes on
    rest = work.Tally()
    work.each(swept(bucket, tally.stopped_after), rest, lambda: False, lambda _landed: None)
    # Then it does the others, and comes to the end
    assert (rest.seen, rest.stopped_after) == (7000, None)
