"""What must hold for the definition as it is written, before anything interprets it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.statemachine.pipeline import DEFINITION, DEFINITION_FILE, ROOT, TASKS, operation, unknown_members

if TYPE_CHECKING:
    from pathlib import Path

TEXT = DEFINITION_FILE.read_text(encoding="utf-8")
STATES: dict[str, dict[str, Any]] = DEFINITION["States"]
GANGS = {name: state for name, state in TASKS.items() if state["Resource"].endswith(".waitForTaskToken")}


def test_no_failure_is_re_entered_by_a_redrive() -> None:
    # A redrive re-enters a Fail state and fails again ("Redriving state machine executions", Step Functions guide)
    assert not [name for name, state in STATES.items() if state["Type"] == "Fail"]


def test_every_state_tells_an_operator_what_to_know() -> None:
    assert not [name for name, state in STATES.items() if len(state.get("Comment", "")) < 30]
    assert not [name for name, state in TASKS.items() if "stops here" not in state["Comment"] and "Catch" not in state]


def test_the_definition_is_jsonpath_for_step_functions_local() -> None:
    assert "QueryLanguage" not in TEXT
    assert "Assign" not in TEXT
    assert "{%" not in TEXT


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_bounded_and_retries_with_jitter_and_a_cap(name: str) -> None:
    task = TASKS[name]
    assert task["TimeoutSeconds"] > 0
    assert "HeartbeatSeconds" not in task
    for retry in task["Retry"]:
        assert retry["MaxDelaySeconds"] > retry["IntervalSeconds"], retry
        assert retry["MaxAttempts"] > 0
        assert retry["JitterStrategy"] == "FULL" or "OnDemand.NoCapacity" in retry["ErrorEquals"]
        assert not {"States.ALL", "States.TaskFailed", "States.Timeout"} & set(retry["ErrorEquals"]), retry


def test_a_task_outlasts_its_retries_longest_wait() -> None:
    for name, task in GANGS.items():
        for retry in task["Retry"]:
            assert retry["MaxDelaySeconds"] < task["TimeoutSeconds"], name


def test_only_what_the_machine_has_an_answer_to_is_caught() -> None:
    caught = {
        name: {error for catch in state["Catch"] for error in catch["ErrorEquals"]}
        for name, state in TASKS.items()
        if "Catch" in state
    }
    assert caught == {
        "Analyse on Spot": {"Spot.Interrupted", "Spot.NoCapacity", "Slot.TimedOut"},
        "Notify": {"States.ALL"},
    }


def test_every_state_can_be_reached() -> None:
    reached, ahead = set(), [DEFINITION["StartAt"]]
    while ahead:
        name = ahead.pop()
        if name in reached:
            continue
        reached.add(name)
        state = STATES[name]
        ahead += [state[key] for key in ("Next", "Default") if key in state]
        ahead += [choice["Next"] for key in ("Choices", "Catch") for choice in state.get(key, [])]
    assert reached == set(STATES)


@pytest.mark.parametrize("name", TASKS)
def test_every_tasks_parameters_are_known_to_the_service(name: str) -> None:
    # Given the API that the Task calls
    shape = operation(TASKS[name]["Resource"]).input_shape
    assert shape is not None
    # Then each parameter is a member of its input, spelled as Step Functions does
    assert list(unknown_members(TASKS[name]["Parameters"], shape)) == []
    given = {key.removesuffix(".$").lower() for key in TASKS[name]["Parameters"]}
    assert {member.lower() for member in shape.required_members} <= given


def test_job_definitions_are_named_without_revision() -> None:
    # A redrive must run the newest image, and CloudFormation deregisters the revision that it replaces
    assert not re.search(r"JobDefinition[^}]*:\d", TEXT)
    template = ROOT / "template.yaml"
    assert template.is_file()


@pytest.mark.parametrize("name", ["Preprocess", "Postprocess"])
def test_a_jobs_overrides_fit_even_for_the_longest_key(name: str) -> None:
    # Given the overrides with the longest run id (80), key (1,024), bucket (63), version (1,024) and execution ARN (256)
    environment = TASKS[name]["Parameters"]["ContainerOverrides"]["Environment"]
    longest = {"RUN_ID": 80, "SOURCE_KEY": 1024, "SOURCE_BUCKET": 63, "SOURCE_VERSION_ID": 1024, "EXECUTION_ARN": 256}
    filled = [{"name": entry["Name"], "value": "x" * longest.get(entry["Name"], 32)} for entry in environment]
    # Then they stay within what Batch takes (8,192 characters: SubmitJob, Batch API reference)
    assert len(json.dumps({"environment": filled})) < 8192


def rendered(folder: Path) -> str:
    """A file with the definition as the validators take it: they want whole ARNs."""
    file = folder / DEFINITION_FILE.name
    file.write_text(json.dumps(DEFINITION), encoding="utf-8")
    return str(file)


def test_statelint_finds_no_fault(tmp_path: Path) -> None:
    linted = subprocess.run(
        [sys.executable, "-m", "statelint", rendered(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (linted.returncode, linted.stdout) == (0, "")


def test_asl_validator_finds_no_fault(tmp_path: Path) -> None:
    validator = shutil.which("asl-validator")
    if validator is None:
        pytest.skip("asl-validator is not on the PATH: `npm install --global asl-validator` brings it where Node.js is")

    validated = subprocess.run(
        [validator, "--json-path", rendered(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )

    assert validated.returncode == 0, validated.stdout + validated.stderr
