"""The Rules section: assertions about a stack's parameters, checked before anything is created.

Source: "Rules" and "Rule-specific intrinsic functions" in the AWS CloudFormation user guide. The functions that need to
look into the account (Fn::RefAll, Fn::ValueOf, Fn::ValueOfAll) are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.deployment.errors import NotModelled, RuleViolated
from twin.deployment.intrinsics import Scope, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping


def check(rules: Mapping[str, Mapping[str, Any]], scope: Scope) -> None:
    """Evaluate every assertion of every rule whose condition holds.

    Raises
    ------
    RuleViolated
        Naming the rule and its AssertDescription.
    NotModelled
        A rule uses a function that the twin cannot evaluate.
    """
    for name, rule in rules.items():
        if "RuleCondition" in rule and not _holds(rule["RuleCondition"], scope, name):
            continue
        for assertion in rule.get("Assertions", []):
            if not _holds(assertion["Assert"], scope, name):
                raise RuleViolated(f"rule {name}: {assertion.get('AssertDescription', assertion['Assert'])}")


def _holds(expression: Any, scope: Scope, rule: str) -> bool:
    if not isinstance(expression, dict) or len(expression) != 1:
        raise NotModelled(f"an assertion of the rule {rule} that is no function: {expression!r}")
    name, argument = next(iter(expression.items()))
    match name:
        case "Fn::And":
            return all(_holds(item, scope, rule) for item in argument)
        case "Fn::Or":
            return any(_holds(item, scope, rule) for item in argument)
        case "Fn::Not":
            return not _holds(argument[0], scope, rule)
        case "Fn::Equals":
            left, right = (as_text(scope.resolve(item)) for item in argument)
            return bool(left == right)
        case "Fn::Contains":
            allowed, value = (as_text(scope.resolve(item)) for item in argument)
            return value in allowed
        case "Fn::EachMemberIn":
            members, allowed = (as_text(scope.resolve(item)) for item in argument)
            return set(members) <= set(allowed)
        case "Fn::EachMemberEquals":
            members, value = (as_text(scope.resolve(item)) for item in argument)
            return all(member == value for member in members)
    raise NotModelled(f"the function {name} in the rule {rule}")
