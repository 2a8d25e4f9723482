"""What `sweep` is asked for, and what it says of an event that asks for nothing that it can do."""

from __future__ import annotations

from typing import Any

import pytest

from spotline.layout import DATASET_RULE
from sweeping.requests import Backfill, BadRequest, Progress, Sweep, read_request

FLIGHTS = {"from": "20130201", "to": "20130228", "dataset": "flights"}
INVOCATION = "52fdfc07-2182-454f-963f-5f0f9a621d72"
OF_FLIGHTS = Backfill("20130201", "20130228", "flights", False, INVOCATION)
WRITTEN = {"after": "data/x", "turns": 2, "failed": 1, "ticket": "t"}


@pytest.mark.parametrize(
    ("event", "request_"),
    [
        ({"kind": "sweep"}, Sweep()),
        ({"kind": "sweep", "continue": WRITTEN}, Sweep(Progress("data/x", 2, 1, "t"))),
        (FLIGHTS, OF_FLIGHTS),
        ({"kind": "backfill", **FLIGHTS}, OF_FLIGHTS),
        ({**FLIGHTS, "to": "20130201"}, Backfill("20130201", "20130201", "flights", False, INVOCATION)),
        (
            {**FLIGHTS, "force": True, "request": "tuesday", "continue": {"after": "data/x"}},
            Backfill("20130201", "20130228", "flights", True, "tuesday", Progress("data/x")),
        ),
        ({**FLIGHTS, "request": "A-z_0" * 12}, Backfill("20130201", "20130228", "flights", False, "A-z_0" * 12)),
    ],
)
def test_an_event_asks_for_a_sweep_or_for_a_backfill(event: dict[str, Any], request_: Sweep | Backfill) -> None:
    given = dict(event)
    assert read_request(event, INVOCATION) == request_
    assert event == given


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (None, "the event is null; it must be a JSON object"),
        ([], "the event is []; it must be a JSON object"),
        (
            {"kind": "sweep", "force": True},
            "force: unknown; a backfill has from, to, dataset, force, request, a sweep has only its kind",
        ),
        ({"kind": "swoop"}, "kind: 'swoop' is neither 'sweep' nor 'backfill'"),
        ({**FLIGHTS, "from": 20130201}, "from: 20130201; write a day as YYYYMMDD, in quotes"),
        ({**FLIGHTS, "to": None}, "to: None; write a day as YYYYMMDD, in quotes"),
        ({"from": "20130201", "dataset": "flights"}, "to: missing; write a day as YYYYMMDD, in quotes"),
        ({**FLIGHTS, "to": "20130131"}, "from: 20130201 is after to, 20130131; exchange them"),
        (
            {**FLIGHTS, "dataset": None},
            f"dataset: None; it {DATASET_RULE}, and is 'default' for data/YYYYMMDD/<file>",
        ),
        ({**FLIGHTS, "force": "yes"}, "force: 'yes' must be true or false, without quotes"),
        ({**FLIGHTS, "force": 1}, "force: 1 must be true or false, without quotes"),
        (
            {**FLIGHTS, "request": "x" * 65},
            f"request: '{'x' * 65}' must hold 1 to 64 of 0-9, A-Z, a-z, '-' and '_'; or leave it out",
        ),
        (
            {**FLIGHTS, "request": 7},
            "request: 7 must hold 1 to 64 of 0-9, A-Z, a-z, '-' and '_'; or leave it out",
        ),
        (
            {"kind": "sweep", "continue": {"turns": "2"}},
            'continue: turns: expected a whole number, found "2"; leave it out, it is for the function\'s own use',
        ),
        (
            {**FLIGHTS, "continue": 7},
            "continue: expected a JSON object, found 7; leave it out, it is for the function's own use",
        ),
    ],
)
def test_a_refusal_names_the_field_and_the_way_out(event: Any, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_request(event, INVOCATION)
    assert str(refused.value) == message


def test_a_refusal_is_one_line_of_bounded_length() -> None:
    with pytest.raises(BadRequest) as refused:
        read_request({"kind": "a\n" + "x" * 10_000}, INVOCATION)
    said = str(refused.value)
    assert said.isprintable()
    assert len(said) == 603
    assert str(BadRequest("x" * 600)) == "x" * 600
    assert "..." in str(BadRequest("x" * 601))


@pytest.mark.parametrize("request_", [Sweep(), Backfill("20130201", "20130228", "flights", True, "tuesday")])
def test_what_a_function_asks_itself_for_is_the_same_request_further_on(request_: Sweep | Backfill) -> None:
    progress = Progress("data/x", 2, 1, "t")
    event = request_.continued(progress)
    assert event["continue"] == WRITTEN
    again = read_request(event, "another invocation")
    assert type(again) is type(request_)
    assert again.progress == progress
    assert again.continued(progress) == event
