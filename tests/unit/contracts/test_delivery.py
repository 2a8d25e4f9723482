"""A contract's `spotline.delivery`: what it may say, and what is said of one that is wrong."""

from __future__ import annotations

import json
from datetime import time
from typing import Any

import pytest

from spotline.contracts import Contract, ContractError, Delivery


def contract(**delivery: Any) -> Contract:
    document = {"fields": [{"name": "a"}], "spotline": {"delivery": delivery}}
    return Contract.from_json(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("delivery", "read"),
    [
        ({"expectedBy": "06:30"}, Delivery(time(6, 30))),
        (
            {"expectedBy": "06:30", "zone": "America/New_York", "daysAfter": 1, "weekdays": ["mon", "sun"]},
            Delivery(time(6, 30), "America/New_York", 1, frozenset({0, 6})),
        ),
    ],
)
def test_a_delivery_is_read(delivery: dict[str, Any], read: Delivery) -> None:
    assert contract(**delivery).delivery == read


def test_nobody_waits_for_files_of_a_contract_without_one() -> None:
    assert Contract.from_json(b'{"fields": [{"name": "a"}]}').delivery is None


@pytest.mark.parametrize(
    ("delivery", "complaint"),
    [
        ({}, "spotline.delivery.expectedBy: missing; write a time of day such as '06:30'"),
        ({"expectedBy": "half six"}, "spotline.delivery.expectedBy: 'half six' is no time of day"),
        ({"expectedBy": "06:30+01:00"}, "spotline.delivery.expectedBy: '06:30+01:00' tells an offset"),
        ({"expectedBy": "06:30", "zone": "New York"}, "spotline.delivery.zone: 'New York' is no IANA zone"),
        ({"expectedBy": "06:30", "daysAfter": -1}, "spotline.delivery.daysAfter: -1 must be from 0 to 31"),
        ({"expectedBy": "06:30", "weekdays": ["monday"]}, "spotline.delivery.weekdays: 'monday' is unknown"),
        ({"expectedBy": "06:30", "weekdays": []}, "spotline.delivery.weekdays: names no day"),
        ({"expectedBy": "06:30", "by": 1}, "spotline.delivery.by: unknown property"),
    ],
)
def test_what_is_wrong_is_named_with_the_way_out(delivery: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ContractError) as refusal:
        contract(**delivery)
    assert str(refusal.value).startswith(f"contract: {complaint}")
