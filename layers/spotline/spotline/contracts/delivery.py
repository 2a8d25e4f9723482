"""The contract's `spotline.delivery`: when a day's file is expected."""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING

from spotline.contracts.document import check_zone, one_of
from spotline.contracts.errors import ContractError
from spotline.contracts.model import Delivery

if TYPE_CHECKING:
    from spotline.contracts.document import Properties

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOST_DAYS_AFTER = 31


def read_delivery(properties: Properties | None) -> Delivery | None:
    """Read the section, or None when the contract has none."""
    if properties is None:
        return None
    zone = properties.text("zone", "UTC") or ""
    check_zone(properties.path("zone"), zone)
    delivery = Delivery(
        expected_by=_time_of_day(properties),
        zone=zone,
        days_after=properties.count("daysAfter", 0, maximum=_MOST_DAYS_AFTER) or 0,
        weekdays=_weekdays(properties),
    )
    properties.done()
    return delivery


def _time_of_day(properties: Properties) -> time:
    where = properties.path("expectedBy")
    text = properties.text("expectedBy")
    if text is None:
        raise ContractError(where, "missing; write a time of day such as '06:30', or remove the section")
    try:
        found = time.fromisoformat(text)
    except ValueError as cause:
        raise ContractError(where, f"{text!r} is no time of day such as '06:30'") from cause
    if found.tzinfo is not None:
        raise ContractError(where, f"{text!r} tells an offset; name the zone in zone")
    return found


def _weekdays(properties: Properties) -> frozenset[int]:
    names = properties.texts("weekdays", _WEEKDAYS) or ()
    where = properties.path("weekdays")
    for name in names:
        if name not in _WEEKDAYS:
            raise ContractError(where, f"{name!r} is unknown; use {one_of(_WEEKDAYS)}")
    if not names:
        raise ContractError(where, "names no day; name some, or remove the section")
    return frozenset(_WEEKDAYS.index(name) for name in names)
