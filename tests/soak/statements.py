"""The statements of a deployed stack's roles, each of which can be taken out and put back."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin import Twin
    from twin.deployment import Stack
    from twin.iam import Exercise


@dataclass(frozen=True)
class Statement:
    """One statement: the logical path of its role, the physical names of role and policy, and its place in the policy."""

    role: str
    role_name: str
    policy: str
    place: int
    sid: str
    actions: tuple[str, ...]

    @property
    def label(self) -> str:
        """How people name it: role and Sid; SAM gives its own statements none, but one to a policy."""
        return f"{self.role} {self.sid or self.policy}"

    def is_meant_by(self, used: Exercise) -> bool:
        """Whether a permission that was used is this statement's."""
        place = (f"role {self.role_name}", f"policy {self.policy} of {self.role_name}", self.sid)
        return (used.owner, used.policy, used.statement) == place


def statements_of(twin: Twin, stack: Stack) -> list[Statement]:
    """Every statement of every policy that the templates write; AWS's managed policies are AWS's.

    Those about a KMS key are left out: the twin encrypts nothing, and a template rule derives them from the others.
    """
    iam = twin.client("iam")
    found = []
    for path, resource in stack.resources.items():
        if resource.kind != "AWS::IAM::Role":
            continue
        name = resource.physical_id
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            for place, element in enumerate(_document(iam, name, policy)["Statement"]):
                actions = element["Action"] if isinstance(element["Action"], list) else [element["Action"]]
                if all(action.startswith("kms:") for action in actions):
                    continue
                found.append(Statement(path, name, policy, place, element.get("Sid", ""), tuple(actions)))
    return found


def managed_policies_of(twin: Twin, stack: Stack) -> set[tuple[str, str]]:
    """Role and name of each of AWS's own policies that a role has."""
    iam = twin.client("iam")
    return {
        (path, policy["PolicyName"])
        for path, resource in stack.resources.items()
        if resource.kind == "AWS::IAM::Role"
        for policy in iam.list_attached_role_policies(RoleName=resource.physical_id)["AttachedPolicies"]
    }


@contextlib.contextmanager
def taken_out(twin: Twin, statement: Statement) -> Iterator[None]:
    """Within the block the role lacks the statement."""
    iam = twin.client("iam")
    whole = _document(iam, statement.role_name, statement.policy)
    rest = [element for place, element in enumerate(whole["Statement"]) if place != statement.place]
    if rest:
        _put(iam, statement, {**whole, "Statement": rest})
    else:
        iam.delete_role_policy(RoleName=statement.role_name, PolicyName=statement.policy)
    try:
        yield
    finally:
        _put(iam, statement, whole)


def _document(iam: Any, role: str, policy: str) -> dict[str, Any]:
    document: dict[str, Any] = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    return document


def _put(iam: Any, statement: Statement, document: dict[str, Any]) -> None:
    iam.put_role_policy(RoleName=statement.role_name, PolicyName=statement.policy, PolicyDocument=json.dumps(document))
