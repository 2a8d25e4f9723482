"""At-least-once and best-effort delivery, on demand: each test has a twin of its own with its own faults."""

from __future__ import annotations

import pytest

from clouds.steps import Options, steps_cloud
from twin import events
from twin.events.faults import Faults

pytestmark = pytest.mark.ours  # what they do is on AWS's pages; that it can be had on demand is the twin's promise


@pytest.mark.parametrize(
    ("options", "times"),
    [(Options(duplicate_events=1.0), 2), (Options(drop_events=1.0), 0), (Options(delay_events=10.0), 1)],
)
def test_at_least_once_is_taken_at_its_word_on_demand(options: Options, times: int) -> None:
    with steps_cloud(scale=100, options=options) as cloud:
        queue = cloud.queue("q")
        cloud.rule("r", {"source": ["aws.s3"]}, queue)

        events.emit("aws.s3", "Object Created", [], {})

        bodies = cloud.bodies(queue)
    assert len(bodies) == times
    assert len({event["id"] for event in bodies}) <= 1, "a duplicate is the same event"


def test_the_same_seed_makes_the_same_faults() -> None:
    one, two, other = (Faults(0.3, 0.3, 5, seed) for seed in (1, 1, 2))

    decided = [one.delays() for _ in range(100)]

    assert decided == [two.delays() for _ in range(100)]
    assert decided != [other.delays() for _ in range(100)]
    assert {len(delays) for delays in decided} == {0, 1, 2}


@pytest.mark.parametrize("wrong", [{"duplicate": 1.1}, {"drop": -0.1}, {"delay_seconds": -1}])
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"between 0 and 1|cannot be delayed"):
        Faults(**wrong)  # type: ignore[arg-type]


def test_without_a_twin_an_event_is_gone_quietly() -> None:
    events.emit("aws.s3", "t", [], {})
