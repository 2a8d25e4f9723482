from __future__ import annotations

import json
import re
from dataclasses import asdict, replace

import pytest

from spotline.documents import DocumentError
from spotline.layout import DATASET_RULE, DataKey, parse_data_key
from spotline.runs import SHARE_RULE, MarketChoice, Run, Source, execution_arn, gang_job_name, run_id

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


def test_a_run_keeps_its_id_from_version_to_version_of_this_code() -> None:
    # Executions, job names, keys and records are called so, and what landed yesterday may land again tomorrow.
    key = parse_data_key(KEY)
    assert run_id(SOURCE, key) == "flights-20130209-08e94392adf329d4"
    assert run_id(SOURCE, key, rerun=2) == "flights-20130209-08e94392adf329d4-r2"


def test_an_input_is_the_same_text_from_version_to_version_of_this_code() -> None:
    # A start under a name that is taken is no error if it has the same input, byte for byte (StartExecution).
    assert Run("r", "flights-eu", "20130209", Source("b", "k", "v", 9), request="q").to_input() == (
        '{"dataset":"flights-eu","day":"20130209","keep":false,"market":"spot-first","priority":"daily","request":"q",'
        '"run_id":"r","share":"flightsDeu","source":{"bucket":"b","key":"k","size":9,"version_id":"v"}}'
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "UPPER"}, f'dataset: "UPPER" is no dataset: it {DATASET_RULE}'),
        ({"day": "2013"}, 'day: "2013" is not a day, which is written YYYYMMDD'),
        ({"share": "a b"}, f'share: "a b" is no share: it {SHARE_RULE}'),
        *(
            (changes, "names no run, or no version of an object: one of these is empty")
            for changes in (
                {"run_id": ""},
                {"source": asdict(replace(SOURCE, bucket=""))},
                {"source": asdict(replace(SOURCE, key=""))},
                {"source": asdict(replace(SOURCE, version_id=""))},
            )
        ),
        ({"new": 1}, "new: unknown field"),
    ],
)
def test_an_input_that_no_run_of_ours_has_is_refused_with_what_is_wrong(
    changes: dict[str, object], message: str
) -> None:
    document = json.loads(Run("r", "flights", "20130209", SOURCE).to_input()) | changes
    with pytest.raises(DocumentError) as refused:
        Run.from_input(json.dumps(document))
    assert str(refused.value) == f"the execution's input: {message}"


def test_an_input_that_is_not_json_is_named() -> None:
    with pytest.raises(DocumentError, match=r"^the execution's input: not JSON"):
        Run.from_input("not JSON")


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
