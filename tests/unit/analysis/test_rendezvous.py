"""Members meet the leader of their own job and generation, and nobody else's."""

from pathlib import Path

import pytest

from analysis.membership import Rendezvous, announce_leader, find_leader
from spotline.layout import rendezvous_key
from spotline.objects import LocalObjects

RECORD = Rendezvous("job-1", 2, "10.0.0.5", 40_001)


@pytest.fixture
def results(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path)


def test_nobody_is_found_before_the_leader_has_announced_itself(results: LocalObjects) -> None:
    assert find_leader(results, "job-1", 2) is None


def test_the_leader_is_found_where_it_listens(results: LocalObjects) -> None:
    announce_leader(results, RECORD)
    assert find_leader(results, "job-1", 2) == RECORD


def test_the_record_of_another_generation_is_not_joined(results: LocalObjects) -> None:
    announce_leader(results, RECORD)
    assert find_leader(results, "job-1", 3) is None


def test_the_record_of_another_job_is_not_joined(results: LocalObjects) -> None:
    announce_leader(results, RECORD)
    results.write(rendezvous_key("job-2"), results.read(rendezvous_key("job-1")).body)
    assert find_leader(results, "job-2", 2) is None
