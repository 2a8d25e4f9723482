"""ShareWeights becomes the scheduling policy's list of weights, or is refused."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from tests.template.system import load
from twin.deployment.errors import ParameterError
from twin.deployment.shapes import to_api


def distribution(weights: str) -> list[dict[str, Any]] | None:
    policy = load({"ShareWeights": weights}).named("SharesOfDatasets").properties["FairsharePolicy"]
    assert int(policy["ShareDecaySeconds"]) == 3600
    found: list[dict[str, Any]] | None = policy.get("ShareDistribution")
    return found


def test_without_weights_the_policy_lists_none() -> None:
    assert distribution("") is None


def test_each_share_has_its_weight() -> None:
    assert distribution("risk=0.5,research*=2") == [
        {"ShareIdentifier": "risk", "WeightFactor": "0.5"},
        {"ShareIdentifier": "research*", "WeightFactor": "2"},
    ]


def test_batch_takes_the_policy() -> None:
    model = botocore.session.get_session().get_service_model("batch")
    shape = model.operation_model("CreateSchedulingPolicy").input_shape
    assert shape is not None
    policy = load({"ShareWeights": "risk=0.0001,research*=999.9999"}).named("SharesOfDatasets").properties
    call = to_api({"Name": "generated", **policy}, shape, "SharesOfDatasets")
    assert ParamValidator().validate(call, shape).generate_report() == ""
    assert [entry["weightFactor"] for entry in call["fairsharePolicy"]["shareDistribution"]] == [0.0001, 999.9999]


def test_eight_shares_can_be_weighed() -> None:
    weights = [f"team{number}={number + 1}.25" for number in range(8)]
    found = distribution(",".join(weights))
    assert found is not None
    assert [f"{entry['ShareIdentifier']}={entry['WeightFactor']}" for entry in found] == weights


@pytest.mark.parametrize(
    "weights",
    [
        "risk",
        "risk=",
        "=1",
        "risk=0",
        "risk=0.0000",
        "risk=1000",
        "risk=-1",
        "risk=0.00001",
        "risk-team=1",
        "*=1",
        "ri*sk=1",
        "risk=1,",
        ",risk=1",
        "risk=1, research=2",
        ",".join(f"team{number}=1" for number in range(9)),
    ],
)
def test_what_batch_would_not_take_is_refused_before_the_deployment(weights: str) -> None:
    with pytest.raises(ParameterError, match="ShareWeights"):
        load({"ShareWeights": weights})
