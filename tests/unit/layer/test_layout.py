from __future__ import annotations

import pytest

from spotline import layout
from spotline.documents import DocumentError
from spotline.layout import (
    DataKey,
    MalformedKey,
    is_ours,
    notice_key,
    notice_prefix,
    parent_job_id,
    parse_data_key,
    rendezvous_key,
)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("data/flights/20130209/flights.csv", DataKey("flights", "20130209", "flights.csv")),
        ("data/20130209/f.csv", DataKey("default", "20130209", "f.csv")),
        ("data/flights/20130209/a+b%41 c.csv", DataKey("flights", "20130209", "a+b%41 c.csv")),
        ("data/flights/20130209/météo ☃.CSV.GZ", DataKey("flights", "20130209", "météo ☃.CSV.GZ")),
        ("data/flights/20240229/f.csv.zst", DataKey("flights", "20240229", "f.csv.zst")),
        ("data/flights/20130209/" + "x" * 998 + ".csv", DataKey("flights", "20130209", "x" * 998 + ".csv")),
    ],
)
def test_a_key_is_read_literally(key: str, expected: DataKey) -> None:
    assert parse_data_key(key) == expected


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("data/flights/2013-02-09/f.csv", "is not a day"),
        ("data/flights/20130229/f.csv", "is not a day"),
        ("data/flights/20131301/f.csv", "is not a day"),
        ("data/flights/20130209/f.txt", "is not a .csv"),
        ("data/flights/20130209/.csv", "is not a .csv"),
        ("data/flights/20130209/more/f.csv", "is not data/<dataset>"),
        ("data/f.csv", "is not data/<dataset>"),
        ("data/Flights/20130209/f.csv", "the dataset 'Flights'"),
        ("data/" + "d" * 32 + "/20130209/f.csv", "the dataset"),
        ("other/flights/20130209/f.csv", "is not data/<dataset>"),
    ],
)
def test_a_malformed_key_is_refused_by_name(key: str, complaint: str) -> None:
    with pytest.raises(MalformedKey, match=complaint):
        parse_data_key(key)


def refusal_of(key: str) -> str:
    with pytest.raises(MalformedKey) as refused:
        parse_data_key(key)
    return str(refused.value)


def test_a_refusal_names_the_key_and_the_character_in_a_way_that_people_can_read() -> None:
    assert refusal_of("data/flights/20130209/a\u202evsc.csv") == (
        r"'data/flights/20130209/a\u202evsc.csv' holds the character '\u202e', which is a control character or changes how others are"
        " shown; rename the file"
    )
    assert refusal_of("data/f.csv") == ("'data/f.csv' is not data/<dataset>/YYYYMMDD/<file> or data/YYYYMMDD/<file>")


def test_a_refusal_shows_no_more_than_60_characters_of_what_is_wrong() -> None:
    assert f"the dataset '{'d' * 60}' must begin" in refusal_of(f"data/{'d' * 99}/20130209/f.csv")
    assert f": '{'9' * 60}' is not a day" in refusal_of(f"data/flights/{'9' * 99}/f.csv")


@pytest.mark.parametrize(
    ("key", "ours"),
    [
        ("data/f.csv", True),
        ("data/flights/20130209/", False),
        ("contracts/flights.json", False),
        ("database/f.csv", False),
    ],
)
def test_only_what_is_under_data_is_ours(key: str, ours: bool) -> None:
    assert is_ours(key) is ours


@pytest.mark.parametrize("job_id", ["5f0c-11", "5f0c-11:3", "5f0c-11#3"])
def test_members_find_each_other_under_their_parents_id(job_id: str) -> None:
    assert parent_job_id(job_id) == "5f0c-11"
    assert rendezvous_key(job_id) == "rendezvous/5f0c-11.json"
    assert notice_key(job_id, 3) == f"{notice_prefix('5f0c-11')}0003.json"


def test_a_default_dataset_s_days_lie_in_two_places() -> None:
    assert layout.day_prefixes("flights", "20130209") == ("data/flights/20130209/",)
    assert layout.day_prefixes("default", "20130209") == ("data/20130209/", "data/default/20130209/")


@pytest.mark.parametrize(
    ("key", "dataset"),
    [
        ("contracts/flights.json", "flights"),
        ("contracts/flights.jsonx", None),
        ("contracts/Flights.json", None),
        ("flights.json", None),
        ("contracts/contracts/flights.json", None),
        ("contracts/flights", None),
    ],
)
def test_a_contract_s_key_names_its_dataset(key: str, dataset: str | None) -> None:
    assert layout.contract_dataset(key) == dataset


def test_a_run_s_own_places() -> None:
    assert layout.run_contract_key("r") == "runs/r/contract.json"
    assert layout.preprocess_prefix("r") == "runs/r/preprocess/"
    assert layout.analysis_prefix("r") == "runs/r/analysis/"
    assert layout.postprocess_prefix("r") == "runs/r/postprocess/"


def test_a_notice_s_key_names_its_member() -> None:
    assert layout.parse_notice_key("j", layout.notice_key("j", 12)) == 12
    with pytest.raises(
        DocumentError, match=r"^checkpoints/notice-j-x\.json: names no member; a member's notice ends in"
    ):
        layout.parse_notice_key("j", "checkpoints/notice-j-x.json")
