"""What programs read from their environment is what the template gives them: nothing is missing, functions get nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import analysis.settings
import ingest
import launch_gang
import notify
import postprocess.job
import preprocess.cloud
import reconcile
import sweep
from spotline import settings
from tests.template.rules.jobs import container
from tests.template.system import DEV, load

SYSTEM = load(DEV)
FUNCTIONS: dict[str, Any] = {
    "IngestFunction": ingest.Settings,
    "SweepFunction": sweep.Settings,
    "LaunchGangFunction": launch_gang.Settings,
    "ReconcileFunction": reconcile.Settings,
    "NotifyFunction": notify.Settings,
}
BATCH_OWN = {"AWS_BATCH_JOB_ID": "2a3b", "AWS_BATCH_JOB_ATTEMPT": "1"}
OF_A_GANG = {
    "RUN_ID": "flights-20130209-0123456789abcdef",
    "GENERATION": "1",
    "EXECUTION_ARN": "arn:aws:states:::execution:a:b",
}


def read_function_variables(name: str) -> dict[str, str]:
    variables = SYSTEM.named(name).properties["Environment"]["Variables"]
    return {key: str(value) for key, value in variables.items() if not key.startswith("POWERTOOLS_")}


def read_job_variables(definition: str, overrides: dict[str, str]) -> dict[str, str]:
    own = {entry["Name"]: str(entry["Value"]) for entry in container(SYSTEM.job_definition(definition))["Environment"]}
    return {**own, **overrides, **BATCH_OWN}


def submitted(state: str) -> dict[str, str]:
    overrides = SYSTEM.states[state]["Parameters"]["ContainerOverrides"]["Environment"]
    return {entry["Name"]: str(entry.get("Value", "x")) for entry in overrides}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_told_what_it_reads_and_nothing_else(name: str) -> None:
    variables = read_function_variables(name)
    settings.load(FUNCTIONS[name], {key: "7" if value.isdigit() else value for key, value in variables.items()})
    assert {field.name.upper() for field in dataclasses.fields(FUNCTIONS[name])} == set(variables)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_names_itself_in_its_log(name: str) -> None:
    variables = SYSTEM.named(name).properties["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == SYSTEM.named(name).properties["Handler"].removesuffix(".handler")
    assert variables["POWERTOOLS_LOG_LEVEL"] == "INFO"


def test_preprocess_is_told_what_it_reads() -> None:
    settings.load(preprocess.cloud.Settings, read_job_variables("spotline-preprocess", submitted("Preprocess")))


def test_postprocess_is_told_what_it_reads() -> None:
    settings.load(postprocess.job.Settings, read_job_variables("spotline-postprocess", submitted("Postprocess")))


@pytest.mark.parametrize("definition", ["spotline-analysis-spot", "spotline-analysis-on-demand"])
def test_a_member_is_told_what_it_reads(definition: str) -> None:
    analysis.settings.load_settings(read_job_variables(definition, OF_A_GANG))


@pytest.mark.parametrize(
    "definition",
    ["spotline-preprocess", "spotline-analysis-spot", "spotline-analysis-on-demand", "spotline-postprocess"],
)
def test_a_job_knows_its_region(definition: str) -> None:
    # ECS on EC2 gives a container its region nowhere but in the metadata
    variables = read_job_variables(definition, {})
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "eu-central-1"
