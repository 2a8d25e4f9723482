"""A thousand files, one event in ten lost and one in ten doubled: a sweep leaves each file with exactly one run."""

from __future__ import annotations

import os
import time

import pytest

from spotline.layout import parse_data_key
from spotline.runs import Source, run_id
from tests.soak.document import table, write_section
from tests.twin.sweep_cloud import sweep_cloud

FILES = 1000
ASKED_FOR = int(os.environ.get("SOAK_SWEEP_FILES", str(FILES)))
SHARE = 0.1
SEED = 6

pytestmark = [pytest.mark.timeout(7200), pytest.mark.soak]


def test_a_sweep_finds_each_of_a_thousand_files_whose_event_was_lost() -> None:
    with sweep_cloud(patience_seconds=3600, drop_events=SHARE, duplicate_events=SHARE, seed=SEED) as cloud:
        # Given files of which one event in ten is lost
        bucket = cloud.stack.outputs["IngestBucket"]
        began = time.monotonic()
        uploaded = set()
        for number in range(ASKED_FOR):
            key = f"data/flights/2013{1 + number // 28 % 12:02d}{1 + number % 28:02d}/part-{number}.csv"
            uploaded.add(run_id(Source(bucket, key, cloud.land(key), 0), parse_data_key(key)))
        missing = uploaded - set(cloud.settled())
        processed = time.monotonic() - began
        # When the sweep's hour comes
        began = time.monotonic()
        answer = cloud.invoke(kind="sweep")
        swept = time.monotonic() - began
        cloud.until(lambda: set(cloud.executions()) == uploaded, "a run for each file, and no others")
        cloud.settled()
        # Then an hour later there is nothing left to find, in as many invocations as it takes
        again = cloud.invoke(kind="sweep")
        assert missing
        assert again["started"] == []
        if not answer["continues"]:
            assert set(answer["started"]) == missing
    if ASKED_FOR == FILES:
        write_section(
            "Lost events",
            f"{FILES} files landed at once in the twin, with jobs that do nothing; seed {SEED}.\n\n"
            + table(
                ("", ""),
                [
                    ("share of events lost, and doubled", f"{SHARE:.0%} each"),
                    ("files without a run when all events were through", len(missing)),
                    ("seconds from the first file to the last run's end", f"{processed:.0f}"),
                    (f"seconds of the first invocation, which saw {answer['seen']} files", f"{swept:.0f}"),
                    ("runs after the sweep, one a file", len(uploaded)),
                    ("found by the next sweep", len(again["started"])),
                ],
            ),
        )
