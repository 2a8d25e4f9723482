"""How a run came about, from its gangs' records."""

from postprocess.timeline import GangSpan, timeline

FIRST = {
    "generation": 1,
    "market": "SPOT",
    "job_id": "a",
    "launched_at": "2013-02-10T06:00:00+00:00",
    "closed_at": "2013-02-10T06:05:30.5+00:00",
    "outcome": "Spot.Interrupted",
}
SECOND = {"generation": 2, "market": "ON_DEMAND", "launched_at": "2013-02-10T06:06:00+00:00"}


def test_gangs_are_told_in_seconds_since_the_first() -> None:
    assert timeline([FIRST, SECOND]) == [
        GangSpan(1, "SPOT", "a", 0.0, 330.5, "Spot.Interrupted"),
        GangSpan(2, "ON_DEMAND", None, 360.0, None, None),
    ]


def test_a_run_without_a_gang_has_no_timeline() -> None:
    assert timeline([]) == []
