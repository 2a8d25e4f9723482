"""The contract's parameters reach the engine, and what is wrong with them is reported before a gang forms."""

from typing import Any

import pytest

from analysis.encoding import Feature, Kind
from analysis.engine import build_parameters, try_out
from analysis.outcomes import AnalysisError


def whole(task: str = "regression", **own: Any) -> dict[str, Any]:
    return build_parameters(task, own, device="cpu", threads=1)


def test_the_target_decides_the_objective() -> None:
    assert whole("regression")["objective"] == "reg:squarederror"
    assert whole("binary")["objective"] == "binary:logistic"


def test_the_contract_may_choose_another_objective_of_its_kind() -> None:
    assert whole(objective="reg:absoluteerror", eval_metric="mae")["objective"] == "reg:absoluteerror"


@pytest.mark.parametrize(
    ("task", "own", "message"),
    [
        ("binary", {"objective": "reg:squarederror"}, "does not fit a binary target"),
        ("regression", {"objective": "rank:ndcg"}, "does not fit a regression target"),
        ("regression", {"nthread": 4, "seed": 1}, "nthread, seed, which the gang sets"),
        ("regression", {"booster": "dart"}, "cannot resume bit for bit"),
        ("regression", {"eval_metric": ["rmse", "mae"]}, "must be one metric"),
    ],
)
def test_what_cannot_work_in_a_gang_is_refused(task: str, own: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        whole(task, **own)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"max_depth": "deep"}, "max_depth"),
        ({"subsample": 2}, "subsample"),
        ({"eval_metric": "vibes"}, "vibes"),
        ({"max_dept": 3}, "max_dept"),
        ({"tree_method": "exact"}, "hist"),
    ],
)
def test_the_engines_objection_is_the_contracts_fault(own: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=f"contract's parameters.*{message}"):
        try_out(whole(**own))


FEATURES = [Feature("price [EUR]", Kind.NUMBER), Feature("age", Kind.NUMBER), Feature("size", Kind.NUMBER)]


def test_constraints_name_features_as_the_contract_does() -> None:
    own = {"monotone_constraints": {"size": -1, "price [EUR]": 1}, "interaction_constraints": [["age", "size"]]}
    whole_parameters = build_parameters("regression", own, device="cpu", threads=1, features=FEATURES)
    assert whole_parameters["monotone_constraints"] == "(1,0,-1)"
    assert whole_parameters["interaction_constraints"] == "[[1, 2]]"
    try_out(whole_parameters, len(FEATURES))


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"monotone_constraints": {"weight": 1}}, "constrain 'weight', which is no feature"),
        ({"interaction_constraints": [["age", "weight"]]}, "constrain 'weight', which is no feature"),
        ({"monotone_constraints": {"age": "up"}}, "monotone_constraints are an object like"),
        ({"interaction_constraints": [1]}, "interaction_constraints a list of lists"),
    ],
)
def test_constraints_on_what_is_no_feature_are_refused(own: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        build_parameters("regression", own, device="cpu", threads=1, features=FEATURES)


def test_a_constraint_that_the_engine_cannot_read_is_the_contracts_fault() -> None:
    with pytest.raises(AnalysisError, match="contract's parameters"):
        try_out(whole(monotone_constraints=[1, 0]))


def test_good_parameters_are_tried_out_without_output(capfd: pytest.CaptureFixture[str]) -> None:
    try_out(whole(max_depth=3, subsample=0.5, eta=0.1))
    assert capfd.readouterr().out == ""
