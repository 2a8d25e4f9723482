"""Whether a failed attempt is followed by another: the retry strategy as a pure function.

Source: AWS Batch API Reference, RetryStrategy and EvaluateOnExit; AWS Batch User Guide, "Automated job retries".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_ATTEMPTS = 10
MAX_RULES = 5


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: its status reason, the container's own reason, and the exit code if there is one."""

    status_reason: str
    reason: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class Rule:
    """One of ``evaluateOnExit``: it holds when each of its patterns matches."""

    action: str
    on_status_reason: str | None = None
    on_reason: str | None = None
    on_exit_code: str | None = None

    def holds(self, outcome: Outcome) -> bool:
        """Whether the rule decides about `outcome`."""
        exit_code = "" if outcome.exit_code is None else str(outcome.exit_code)
        return (
            _matches(self.on_status_reason, outcome.status_reason)
            and _matches(self.on_reason, outcome.reason or "")
            and _matches(self.on_exit_code, exit_code)
        )


@dataclass(frozen=True)
class RetryStrategy:
    """How often a job may be tried, and which failures end it at once."""

    attempts: int = 1
    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(cls, strategy: Mapping[str, Any] | None) -> Self:
        """The strategy that a job or a job definition states as ``retryStrategy``."""
        strategy = strategy or {}
        rules = tuple(
            Rule(
                action=rule["action"].upper(),
                on_status_reason=rule.get("onStatusReason"),
                on_reason=rule.get("onReason"),
                on_exit_code=rule.get("onExitCode"),
            )
            for rule in strategy.get("evaluateOnExit") or []
        )
        return cls(attempts=int(strategy.get("attempts") or 1), rules=rules)

    def again(self, attempt: int, outcome: Outcome) -> bool:
        """Whether a failed attempt, the `attempt`-th from 1, is followed by another. No rule that holds means yes."""
        if attempt >= self.attempts:
            return False
        deciding = next((rule for rule in self.rules if rule.holds(outcome)), None)
        return deciding is None or deciding.action == "RETRY"


def _matches(pattern: str | None, text: str) -> bool:
    """Match the whole text, or its beginning where the pattern ends in ``*``; no pattern matches everything."""
    if pattern is None:
        return True
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def problems(strategy: Mapping[str, Any] | None) -> list[str]:
    """What AWS Batch would refuse in a ``retryStrategy``, in its order; empty when it is sound."""
    if not strategy:
        return []
    found = []
    attempts = strategy.get("attempts")
    if attempts is not None and not 1 <= int(attempts) <= MAX_ATTEMPTS:
        found.append(f"retryStrategy.attempts must be between 1 and {MAX_ATTEMPTS}, not {attempts}")
    rules: Sequence[Mapping[str, Any]] = strategy.get("evaluateOnExit") or []
    if rules and attempts is None:
        found.append("retryStrategy.attempts must be set with retryStrategy.evaluateOnExit")
    if len(rules) > MAX_RULES:
        found.append(f"retryStrategy.evaluateOnExit holds at most {MAX_RULES} rules, not {len(rules)}")
    for rule in rules:
        found.extend(_rule_problems(rule))
    return found


_TEXT_PATTERN = re.compile(r"[A-Za-z0-9.:\s]*\*?")
_NUMBER_PATTERN = re.compile(r"[0-9]*\*?")


def _rule_problems(rule: Mapping[str, Any]) -> list[str]:
    found = []
    if str(rule.get("action", "")).upper() not in ("RETRY", "EXIT"):
        found.append(f"evaluateOnExit.action must be RETRY or EXIT, not {rule.get('action')}")
    conditions = {name: rule[name] for name in ("onStatusReason", "onReason", "onExitCode") if rule.get(name)}
    if not conditions:
        found.append("evaluateOnExit needs at least one of onStatusReason, onReason, onExitCode")
    for name, pattern in conditions.items():
        form = _NUMBER_PATTERN if name == "onExitCode" else _TEXT_PATTERN
        if len(pattern) > 512 or not form.fullmatch(pattern):
            found.append(f"evaluateOnExit.{name} is not a pattern: {pattern}")
    return found
