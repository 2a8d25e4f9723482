"""Every problem of a contract is found at once, each once, and none that only follows from another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spotline.contracts import Contract, ContractError, find_problems


def problems_of(document: Any) -> list[str]:
    return [str(problem).removeprefix("contract: ") for problem in find_problems(json.dumps(document).encode())]


def test_a_right_contract_has_no_problem() -> None:
    assert problems_of({"fields": [{"name": "a"}]}) == []


def test_all_problems_of_a_contract_are_found_at_once() -> None:
    found = problems_of(
        {
            "fields": [
                {"name": "id", "type": "integr"},
                {"name": "price", "type": "number", "constraints": {"minimun": 0}},
                {"name": "day", "type": "date", "format": "%Y"},
                {"name": "id"},
            ],
            "primaryKey": ["idd"],
            "dialect": {"delimiter": ";;", "quotechar": "'"},
            "spotline": {"tolerance": {"maxRejectedShare": 5}, "analysis": {"target": "pryce"}},
        }
    )

    assert [problem.split(":")[0] for problem in found] == [
        "fields[0] 'id'.type",
        "fields[1] 'price'.constraints.minimun",
        "fields[2] 'day'.format",
        "fields[3] 'id'",
        "primaryKey",
        "dialect.delimiter",
        "dialect.quotechar",
        "spotline.tolerance.maxRejectedShare",
        "spotline.analysis.target",
    ]


@pytest.mark.parametrize(
    ("document", "suggestion"),
    [
        ({"fields": [{"name": "a", "constraints": {"minimun": 0}}]}, "did you mean 'minimum'?"),
        ({"fields": [{"name": "a"}], "primarykey": ["a"]}, "did you mean 'primaryKey'?"),
        ({"fields": [{"name": "price"}], "primaryKey": ["prise"]}, "did you mean 'price'? the fields are price"),
        ({"fields": [{"name": "a"}], "zzz": 1}, "remove it or correct its spelling"),
    ],
)
def test_a_misspelt_name_gets_a_suggestion(document: Any, suggestion: str) -> None:
    (problem,) = problems_of(document)

    assert problem.endswith(suggestion)


def test_a_field_of_a_wrong_type_is_not_held_against_what_refers_to_it() -> None:
    found = problems_of(
        {
            "fields": [{"name": "price", "type": "nmber"}, {"name": "x", "type": "integer"}],
            "spotline": {"analysis": {"target": "price"}},
        }
    )

    assert len(found) == 1
    assert "did you mean" not in found[0]
    assert found[0].startswith("fields[0] 'price'.type")


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'{"fields": 3}', b'{"fields": []}', b'{"fields": [3]}'])
def test_what_is_no_contract_at_all_has_one_problem(body: bytes) -> None:
    assert len(find_problems(body)) == 1


def test_the_first_problem_is_the_one_that_stops_a_job() -> None:
    body = json.dumps({"fields": [{"name": "a", "type": "x"}, {"name": "b", "type": "y"}]}).encode()

    with pytest.raises(ContractError) as stopped:
        Contract.from_json(body)

    assert str(find_problems(body)[0]) == str(stopped.value)
    assert len(find_problems(body)) == 2
