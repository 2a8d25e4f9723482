"""Days whose file is late, by what each dataset's contract says of its delivery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from spotline import layout
from spotline.contracts import MOST_BYTES, Contract
from spotline.documents import DocumentError
from spotline.isolation import isolate
from spotline.objects import ObjectMissing, S3Objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

    from spotline.contracts import Delivery

TOLD_WITHIN = timedelta(days=2)
"""How long after its hour a missing file is still told: through an outage of ours, but not for the years before a dataset began."""


@dataclass(frozen=True)
class LateDay:
    """A dataset's day without a file. `expected_by` is text for people."""

    dataset: str
    day: str
    expected_by: str


def due_days(delivery: Delivery, now: datetime) -> Iterator[tuple[str, datetime]]:
    """The days whose file should have landed by now, though not longer ago than `TOLD_WITHIN`, and when it should have.

    An hour that a zone skips in spring counts as the one after it; one that it repeats in autumn, as its first.
    """
    zone = ZoneInfo(delivery.zone)
    today = now.astimezone(zone).date()
    for back in range(TOLD_WITHIN.days + 2):
        landing = today - timedelta(days=back)
        day = landing - timedelta(days=delivery.days_after)
        due = datetime.combine(landing, delivery.expected_by, tzinfo=zone)
        if day.weekday() in delivery.weekdays and timedelta(0) <= now - due < TOLD_WITHIN:
            yield f"{day:%Y%m%d}", due


def late_days(
    client: S3Client, bucket: str, now: datetime, unreadable: list[str], failed: list[str]
) -> Iterator[LateDay]:
    """Every day that is late now, of each dataset by itself.

    Contracts that cannot be read are noted in `unreadable`: their runs fail and say more. `failed` names datasets whose files could not
    be looked for, which another sweep may do.
    """
    for dataset in list(_datasets(client, bucket)):
        late: list[LateDay] = []
        with isolate(f"late days of {dataset}", failed):
            delivery = _delivery_of(client, bucket, dataset, unreadable)
            late += _late_days_of(client, bucket, dataset, delivery, now) if delivery else ()
        yield from late


def _delivery_of(client: S3Client, bucket: str, dataset: str, unreadable: list[str]) -> Delivery | None:
    ingest = S3Objects(bucket, client=client)
    key = layout.contract_key(dataset)
    try:
        return Contract.from_json(ingest.read(key, MOST_BYTES).body).delivery
    except ObjectMissing:
        return None  # deleted since it was listed
    except DocumentError as error:
        unreadable.append(f"{key}: {error}")
        return None


def _late_days_of(client: S3Client, bucket: str, dataset: str, delivery: Delivery, now: datetime) -> Iterator[LateDay]:
    for day, due in due_days(delivery, now):
        if not _has_file(client, bucket, dataset, day):
            yield LateDay(dataset, day, f"{due:%Y-%m-%d %H:%M} {delivery.zone}")


def _datasets(client: S3Client, bucket: str) -> Iterator[str]:
    """Every dataset that has a contract."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=layout.CONTRACTS_PREFIX)
    for key in (entry["Key"] for page in pages for entry in page.get("Contents", [])):
        dataset = layout.contract_dataset(key)
        if dataset is not None:
            yield dataset


def _has_file(client: S3Client, bucket: str, dataset: str, day: str) -> bool:
    for prefix in layout.day_prefixes(dataset, day):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                try:
                    layout.parse_data_key(entry["Key"])
                except layout.MalformedKey:
                    continue
                return True
    return False
