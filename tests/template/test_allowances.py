"""What bounds the bill says the same in the root stack as where jobs are defined."""

from __future__ import annotations

import pytest

from spotline.gangs import SUBMITTING
from tests.template.system import DEV, PROD, load

SYSTEM = load(DEV)


@pytest.mark.parametrize("function", ["LaunchGangFunction", "ReconcileFunction"])
@pytest.mark.parametrize("definition", ["spotline-analysis-spot", "spotline-analysis-on-demand"])
def test_what_an_attempt_reserves_is_the_longest_that_it_may_run(function: str, definition: str) -> None:
    variables = SYSTEM.named(function).properties["Environment"]["Variables"]
    timeout = SYSTEM.job_definition(definition).properties["Timeout"]["AttemptDurationSeconds"]
    assert int(variables["GANG_ATTEMPT_SECONDS"]) == int(timeout)


@pytest.mark.parametrize("function", ["LaunchGangFunction", "ReconcileFunction"])
def test_a_claim_on_a_submission_outlasts_whoever_holds_it(function: str) -> None:
    assert SYSTEM.named(function).properties["Timeout"] < SUBMITTING.total_seconds()


def test_the_default_day_has_room_for_an_attempt() -> None:
    variables = SYSTEM.named("LaunchGangFunction").properties["Environment"]["Variables"]
    assert int(variables["ON_DEMAND_GANG_HOURS_PER_DAY"]) * 3600 >= int(variables["GANG_ATTEMPT_SECONDS"])


@pytest.mark.parametrize("parameters", [DEV, PROD, {"SpotMaxGangs": "3", "OnDemandMaxGangs": "2"}])
def test_both_launchers_go_by_the_same_limits(parameters: dict[str, str]) -> None:
    system = load(parameters)
    launch, look = (
        system.named(name).properties["Environment"]["Variables"]
        for name in ("LaunchGangFunction", "ReconcileFunction")
    )
    shared = {name for name in launch if name not in ("INTERMEDIATE_BUCKET", "POWERTOOLS_SERVICE_NAME")}
    assert {name: look[name] for name in shared} == {name: launch[name] for name in shared}
