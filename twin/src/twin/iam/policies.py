"""Policies, and what they decide about a request.

Source: "Policy evaluation logic" and "IAM JSON policy elements reference" (IAM user guide).
"""

from __future__ import annotations

import enum
import functools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twin.iam import conditions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twin.iam.conditions import Context


@dataclass(frozen=True)
class Ask:
    """One permission that a request needs.

    Parameters
    ----------
    action
        As in a policy: ``s3:GetObject``.
    resource
        The ARN of the resource, or ``*`` for an action without resource-level permissions.
    context
        Condition keys of this permission, beside those that every request has.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Grant(enum.Enum):
    """How a resource's policy names a caller."""

    NOT_NAMED = "not named"
    BY_ACCOUNT = "by its account"
    BY_NAME = "by name"


@dataclass(frozen=True)
class Caller:
    """Who asks, as policies name it.

    Parameters
    ----------
    arn
        The ARN in messages: of a user, an assumed role's session, or empty for nobody.
    names
        Every ARN and service name by which a Principal element can mean this caller.
    """

    arn: str
    account: str
    names: frozenset[str]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, of the policy named `origin`."""

    origin: str
    element: Mapping[str, Any] = field(hash=False)

    @property
    def denies(self) -> bool:
        """Whether its effect is Deny."""
        return bool(self.element.get("Effect") == "Deny")

    @property
    def label(self) -> str:
        """How a message names it."""
        sid = self.element.get("Sid")
        return f"statement {sid} of {self.origin}" if sid else f"a statement of {self.origin}"

    def concerns(self, ask: Ask, context: Context) -> bool:
        """Whether it speaks about this action, this resource and these circumstances.

        A condition that the twin cannot decide never allows and always denies, so that it cannot pass unnoticed.
        """
        if not self.fits(ask, context):
            return False
        try:
            return conditions.hold(self.element.get("Condition") or {}, context)
        except conditions.UnsupportedCondition:
            return self.denies

    def fits(self, ask: Ask, context: Context) -> bool:
        """Whether it speaks about this action and this resource, whatever its condition says."""
        return self._matches("Action", ask.action, context) and self._matches("Resource", ask.resource, context)

    def names(self, caller: Caller) -> Grant:
        """How its Principal element names the caller."""
        if "NotPrincipal" in self.element:
            named = _named(self.element["NotPrincipal"], caller)
            return Grant.NOT_NAMED if named is not Grant.NOT_NAMED else Grant.BY_NAME
        return _named(self.element.get("Principal", {}), caller)

    def _matches(self, kind: str, value: str, context: Context) -> bool:
        if f"Not{kind}" in self.element:
            return not self._matches_any(self.element[f"Not{kind}"], kind, value, context)
        # A trust policy has no Resource element: it speaks about the role that it belongs to.
        return self._matches_any(self.element.get(kind, "*"), kind, value, context)

    @staticmethod
    def _matches_any(patterns: Any, kind: str, value: str, context: Context) -> bool:
        if kind == "Action":  # names of actions are not case-sensitive
            return any(conditions.like(pattern.lower(), value.lower()) for pattern in _as_list(patterns))
        substituted = (conditions.substitute(pattern, context) for pattern in _as_list(patterns))
        return any(conditions.like(pattern, value) for pattern in substituted if pattern is not None)


def _named(principal: Any, caller: Caller) -> Grant:
    if principal == "*":
        return Grant.BY_NAME
    named = [name for names in principal.values() for name in _as_list(names)]
    if "*" in named or caller.names.intersection(named):
        return Grant.BY_NAME
    if caller.account and {caller.account, f"arn:aws:iam::{caller.account}:root"}.intersection(named):
        return Grant.BY_ACCOUNT
    return Grant.NOT_NAMED


Policy = tuple[Statement, ...]


@functools.lru_cache(maxsize=1024)
def parse(origin: str, document: str) -> Policy:
    """The statements of a policy document."""
    return tuple(Statement(origin, element) for element in _as_list(json.loads(document)["Statement"]))


@dataclass(frozen=True)
class Policies:
    """Everything that decides about one caller and one resource.

    Parameters
    ----------
    identity
        Policies of the caller.
    boundaries
        Limits on them, each of which must allow too: permissions boundary, session policy.
    resource
        The policy of the resource.
    trust
        The trust policy, when the resource is a role to be assumed; it must allow in any case.
    """

    identity: tuple[Policy, ...] = ()
    boundaries: tuple[Policy, ...] = ()
    resource: Policy = ()
    trust: Policy | None = None


@dataclass(frozen=True)
class Decision:
    """What came of an `Ask`.

    Parameters
    ----------
    reason, missing
        Why it was refused, in AWS's words, and the statement that would have allowed it.
    by
        The statement of the caller's own policies that allowed it.
    """

    allowed: bool
    reason: str = ""
    missing: Mapping[str, Any] | None = None
    by: Statement | None = None


def decide(ask: Ask, caller: Caller, policies: Policies, context: Context) -> Decision:
    """Decide as IAM does within one account: an explicit Deny wins, then something must allow."""
    resource = policies.resource + (policies.trust or ())
    denying = _first(True, ask, context, *policies.identity, *policies.boundaries) or next(
        (s for s in resource if s.denies and s.names(caller) is not Grant.NOT_NAMED and s.concerns(ask, context)), None
    )
    if denying is not None:
        return Decision(False, f"with an explicit deny in {denying.label}")
    granted = _granted(ask, caller, resource, context)
    if policies.trust is not None and granted is Grant.NOT_NAMED:
        return Decision(False, "because the role's trust policy does not allow it", _trust_statement(ask, caller))
    if granted is Grant.BY_NAME:
        return Decision(True)
    allowing = _first(False, ask, context, *policies.identity)
    if allowing is None:
        reason = f"because no identity-based policy allows the {ask.action} action"
        near = next((s for p in policies.identity for s in p if not s.denies and s.fits(ask, context)), None)
        hint = f" ({near.label} would allow it but for its condition)" if near else ""
        return Decision(False, reason + hint, _statement(ask))
    for boundary in policies.boundaries:
        if _first(False, ask, context, boundary) is None:
            return Decision(False, f"because no permissions boundary or session policy allows the {ask.action} action")
    return Decision(True, by=allowing)


def _granted(ask: Ask, caller: Caller, statements: Iterable[Statement], context: Context) -> Grant:
    grants = {s.names(caller) for s in statements if not s.denies and s.concerns(ask, context)}
    for grant in (Grant.BY_NAME, Grant.BY_ACCOUNT):
        if grant in grants:
            return grant
    return Grant.NOT_NAMED


def _first(denies: bool, ask: Ask, context: Context, *policies: Policy) -> Statement | None:
    statements = (statement for policy in policies for statement in policy)
    return next((s for s in statements if s.denies is denies and s.concerns(ask, context)), None)


def _statement(ask: Ask) -> dict[str, str]:
    return {"Effect": "Allow", "Action": ask.action, "Resource": ask.resource}


def _trust_statement(ask: Ask, caller: Caller) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"AWS": caller.arn}, "Action": ask.action}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
