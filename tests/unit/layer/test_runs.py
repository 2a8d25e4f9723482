from __future__ import annotations

import json
import re

import pytest

from spotline.documents import DocumentError
from spotline.layout import DataKey, parse_data_key
from spotline.runs import MarketChoice, Run, Source, execution_arn, gang_job_name, run_id

KEY = "data/flights/20130209/flights.csv"
SOURCE = Source("ingest", KEY, "3HL4kqtJlcpXroDTDmJ", 1234)


def test_the_same_object_version_always_gives_the_same_run() -> None:
    first, second = (Run(run_id(SOURCE, parse_data_key(KEY)), "flights", "20130209", SOURCE) for _ in range(2))
    assert first.run_id == second.run_id
    assert first.to_input() == second.to_input()


@pytest.mark.parametrize(
    "other",
    [
        Source("other", KEY, "3HL4kqtJlcpXroDTDmJ", 1234),
        Source("ingest", "data/flights/20130209/flights2.csv", "3HL4kqtJlcpXroDTDmJ", 1234),
        Source("ingest", KEY, "another", 1234),
    ],
)
def test_another_bucket_key_or_version_is_another_run(other: Source) -> None:
    assert run_id(SOURCE, parse_data_key(KEY)) != run_id(other, parse_data_key(other.key))


def test_the_longest_run_id_is_a_legal_name_of_an_execution_and_of_its_jobs() -> None:
    # Given the longest dataset, a rerun, and a late generation
    longest = run_id(SOURCE, DataKey("d" * 31, "20130209", "f.csv"), rerun=999)
    # Then it fits StartExecution's name and Batch's job name
    assert re.fullmatch(r"[0-9A-Za-z_-]{1,80}", longest)
    assert re.fullmatch(r"[A-Za-z0-9][0-9A-Za-z_-]{0,127}", gang_job_name(longest, 99999))


def test_an_input_survives_the_way_through_step_functions() -> None:
    run = Run("r", "flights", "20130209", SOURCE, market=MarketChoice.SPOT_ONLY, keep=True)
    assert Run.from_input(run.to_input()) == run
    team = Run("r", "flights", "20130209", SOURCE, share="risk")
    assert Run.from_input(team.to_input()) == team


def test_a_run_takes_its_datasets_share_unless_it_names_one() -> None:
    assert Run("r", "flights", "20130209", SOURCE).share == "flights"
    assert Run("r", "flights-eu_2", "20130209", SOURCE).share == "flightsDeuU2"
    assert Run("r", "flights", "20130209", SOURCE, share="risk").share == "risk"


@pytest.mark.parametrize("share", ["risk-team", "risk*", "x" * 256, "é"])
def test_an_input_whose_share_batch_would_refuse_is_none_of_ours(share: str) -> None:
    document = json.loads(Run("r", "flights", "20130209", SOURCE).to_input()) | {"share": share}
    with pytest.raises(DocumentError, match="share"):
        Run.from_input(json.dumps(document))


def test_an_execution_is_known_before_it_is_started() -> None:
    machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline-stateMachine:x"
    assert execution_arn(machine, "r") == ("arn:aws:states:eu-west-1:123456789012:execution:Pipeline-stateMachine:x:r")
