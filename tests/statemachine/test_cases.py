"""Every path through the state machine, on the twin's interpreter: the cases of statemachine/mocks.json."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from clouds.steps import steps_cloud
from spotline.failures import Failure, classify, job_from_cause
from tests.statemachine import pipeline
from tests.statemachine.cases import CASES, TYPED_BY_CAUSE
from twin import executions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clouds.steps import StepsCloud
    from tests.statemachine.pipeline import Course

TIME_SCALE = 50.0  # a retry's second becomes 20 ms, and the shortest Task still has six seconds


@pytest.fixture(scope="module")
def cloud() -> Iterator[StepsCloud]:
    with steps_cloud(scale=TIME_SCALE) as cloud:
        executions.load_mocks(pipeline.MOCKS)
        yield cloud


@pytest.fixture(scope="module")
def machine(cloud: StepsCloud) -> str:
    return cloud.machine(pipeline.deployable(pipeline.DEFINITION), pipeline.NAME)


@pytest.fixture(scope="module")
def courses(cloud: StepsCloud, machine: str) -> dict[str, Course]:
    """What each case did."""
    return _run_all(cloud, machine)


def _run_all(cloud: StepsCloud, machine: str) -> dict[str, Course]:
    started = {case: cloud.start_on(f"{machine}#{case}", json.loads(CASES[case].input)) for case in CASES}
    done = {}
    for case, execution in started.items():
        cloud.ended(execution, seconds=60)
        done[case] = pipeline.course(cloud.history(execution))
    return done


def test_the_table_and_the_mock_file_have_the_same_cases() -> None:
    assert sorted(CASES) == sorted(pipeline.CASES)


def test_no_response_is_without_a_case() -> None:
    assert {name for case in pipeline.CASES.values() for name in case.values()} == set(pipeline.RESPONSES)


@pytest.mark.parametrize("case", CASES)
def test_a_case_takes_its_path(case: str, courses: dict[str, Course]) -> None:
    expected, took = CASES[case], courses[case]

    assert took.states == expected.states
    assert (took.status, took.error) == (expected.status, expected.error)
    assert took.repeated == expected.repeated


@pytest.mark.parametrize("case", CASES)
def test_a_case_mocks_what_it_enters_and_no_more(case: str) -> None:
    tasks = {name for name in CASES[case].states if pipeline.DEFINITION["States"][name]["Type"] == "Task"}

    assert set(pipeline.CASES[case]) == tasks


def test_every_state_retry_catch_and_choice_is_entered_by_some_case(
    cloud: StepsCloud, machine: str, courses: dict[str, Course], capsys: pytest.CaptureFixture[str]
) -> None:
    # Given the same machine, in which each branch of a Choice has a name
    probed = pipeline.with_named_branches(pipeline.deployable(pipeline.DEFINITION))
    cloud.client("stepfunctions").update_state_machine(stateMachineArn=machine, definition=json.dumps(probed))
    # When every case runs on it
    entered = {place for done in _run_all(cloud, machine).values() for place in pipeline.entered(done)}
    # Then nothing of the definition is left out
    everything = pipeline.places()
    with capsys.disabled():
        sys.stdout.write(f"\n{len(entered)} of {len(everything)} places of the machine entered by {len(CASES)} cases\n")
    assert sorted(everything - entered) == []
    assert entered <= everything


@pytest.mark.parametrize("kind", TYPED_BY_CAUSE)
@pytest.mark.parametrize("stage", ["Preprocess", "Postprocess"])
def test_a_mocked_jobs_cause_is_classified_as_the_real_ones(stage: str, kind: str) -> None:
    [response] = pipeline.RESPONSES[f"{stage}{kind}"].values()
    job = job_from_cause(response["Throw"]["Cause"])

    assert job is not None
    assert classify(job).error == TYPED_BY_CAUSE[kind]


def test_a_mocked_gangs_cause_names_the_error_that_is_thrown() -> None:
    thrown = [
        answer["Throw"]
        for attempts in pipeline.RESPONSES.values()
        for answer in attempts.values()
        if '"sentence"' in answer.get("Throw", {}).get("Cause", "")
    ]

    assert thrown
    for failure in thrown:
        assert Failure.from_cause(failure["Cause"]).error == failure["Error"]


@pytest.mark.parametrize("response", pipeline.RESPONSES)
def test_a_mocked_answer_has_the_shape_of_the_services(response: str) -> None:
    tasks = {
        pipeline.TASKS[state]["Resource"]
        for case in pipeline.CASES.values()
        for state, name in case.items()
        if name == response
    }

    for resource in tasks:
        for answer in _answers(response):
            assert list(pipeline.unknown_members(answer, pipeline.answer_shape(resource))) == []


def _answers(response: str) -> Iterator[Any]:
    """What a response returns, and the jobs that its failures name."""
    for attempt in pipeline.RESPONSES[response].values():
        if "Return" in attempt:
            yield attempt["Return"]
        elif attempt["Throw"]["Error"] == "States.TaskFailed":
            yield json.loads(attempt["Throw"]["Cause"])
