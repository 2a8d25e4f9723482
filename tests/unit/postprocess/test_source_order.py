"""The order of versions: S3's LastModified, ties by the order of ListObjectVersions."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postprocess.source_order import Version, VersionGone, find_source_order

NOON = datetime(2013, 2, 9, 12, tzinfo=UTC)


def listed(*seconds: float) -> list[Version]:
    """Versions of the given ages, newest first as S3 lists them; the n-th stored is called `vn`."""
    stored = [Version(f"v{at}", NOON + timedelta(seconds=second)) for at, second in enumerate(seconds)]
    return stored[::-1]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8).map(sorted))
def test_texts_sort_as_the_versions_were_stored(seconds: list[int]) -> None:
    versions = listed(*seconds)

    orders = [find_source_order(versions, f"v{at}") for at in range(len(seconds))]

    assert orders == sorted(orders)
    assert len(set(orders)) == len(orders)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=8).map(sorted))
def test_a_version_keeps_its_order_when_newer_ones_come(seconds: list[int]) -> None:
    first = find_source_order(listed(seconds[0]), "v0")

    assert find_source_order(listed(*seconds), "v0") == first


def test_parts_of_a_second_count() -> None:
    versions = listed(0.25, 0.5)

    assert find_source_order(versions, "v0") < find_source_order(versions, "v1")


def test_a_deleted_version_has_no_order() -> None:
    with pytest.raises(VersionGone):
        find_source_order(listed(1), "v9")
