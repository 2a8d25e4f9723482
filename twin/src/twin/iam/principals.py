"""Who calls: the user or role behind an access key, and the policies that they have in moto's IAM.

Collections of moto are copied before they are looked through: another request may be adding to them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from twin import credentials
from twin.iam.policies import Caller, Policy, parse

if TYPE_CHECKING:
    from moto.iam.models import IAMBackend, ManagedPolicy, Role, User
    from moto.sts.models import AssumedRole

    from twin.iam.conditions import Context


@dataclass(frozen=True)
class Principal:
    """A caller with its credentials and policies.

    Parameters
    ----------
    caller
        How policies and messages name it.
    owner
        The role or user to whom a missing statement would have to be given: ``role worker``.
    secret
        The secret access key, with which its requests are signed.
    identity, boundaries
        See `twin.iam.policies.Policies`.
    context
        The condition keys that say who it is.
    """

    caller: Caller
    owner: str
    secret: str
    identity: tuple[Policy, ...]
    boundaries: tuple[Policy, ...]
    context: Context


class UnknownAccessKey(Exception):
    """There is no such access key."""


class WrongSessionToken(Exception):
    """There is such an access key, of a session with another token."""


ANONYMOUS = Principal(Caller("anonymous", "", frozenset()), "nobody", "", (), (), {})
"""A request without credentials."""


def service(name: str, source_arn: str) -> Principal:
    """A service that acts on a resource by itself, such as ``events.amazonaws.com`` for the rule `source_arn`."""
    context = {"aws:sourcearn": (source_arn,), "aws:sourceaccount": (credentials.account(),)}
    return Principal(Caller(name, "", frozenset({name})), name, "", (), (), context)


def find_role(role_arn: str) -> Principal:
    """A role as the services that run something with it see it, without any credentials."""
    role = _iam().get_role_by_arn(role_arn)
    return _role_principal(role, f"arn:aws:sts::{credentials.account()}:assumed-role/{role.name}/twin", "", "")


def find(access_key: str, session_token: str | None) -> Principal:
    """The principal that holds an access key.

    Raises
    ------
    UnknownAccessKey
        AWS would not know these credentials.
    WrongSessionToken
        AWS would know the key, but not with this token.
    """
    if session_token is not None:
        session = _session(access_key, session_token)
        role = next((role for role in list(_iam().roles.values()) if role.arn == session.role_arn), None)
        if role is None:
            raise UnknownAccessKey(f"the role {session.role_arn} of these credentials is gone")
        return _role_principal(role, session.arn, session.secret_access_key, session.policy or "")
    for user in list(_iam().users.values()):
        for key in list(user.access_keys):
            if key.access_key_id == access_key and key.status == "Active":
                return _user_principal(user, key.secret_access_key)
    raise UnknownAccessKey(access_key)


def _session(access_key: str, session_token: str) -> AssumedRole:
    # The last session is the likeliest caller: sessions are minted when something starts.
    for session in reversed(list(sts_backends[credentials.account()]["aws"].assumed_roles)):
        if session.access_key_id == access_key:
            if session.session_token != session_token:
                raise WrongSessionToken(access_key)
            return session
    raise UnknownAccessKey(access_key)


def _role_principal(role: Role, session_arn: str, secret: str, session_policy: str) -> Principal:
    boundaries = [_managed(role.permissions_boundary_arn)] if role.permissions_boundary_arn else []
    if session_policy:
        boundaries.append(parse("the session policy", session_policy))
    return Principal(
        caller=Caller(session_arn, credentials.account(), frozenset({session_arn, role.arn})),
        owner=f"role {role.name}",
        secret=secret,
        identity=_identity(role),
        boundaries=tuple(boundaries),
        context={
            "aws:principalarn": (role.arn,),
            "aws:principaltype": ("AssumedRole",),
            "aws:userid": (f"{role.id}:{session_arn.rsplit('/', 1)[-1]}",),
            **_tags(role.tags),
        },
    )


def _user_principal(user: User, secret: str) -> Principal:
    groups = [group for group in list(_iam().groups.values()) if user in group.users]
    boundary = getattr(user, "permissions_boundary_arn", None)
    return Principal(
        caller=Caller(user.arn, credentials.account(), frozenset({user.arn})),
        owner=f"user {user.name}",
        secret=secret,
        identity=tuple(policy for owner in (user, *groups) for policy in _identity(owner)),
        boundaries=(_managed(boundary),) if boundary else (),
        context={
            "aws:principalarn": (user.arn,),
            "aws:principaltype": ("User",),
            "aws:userid": (user.id,),
            "aws:username": (user.name,),
            **_tags(user.tags),
        },
    )


def _identity(owner: Any) -> tuple[Policy, ...]:
    """The inline and managed policies of a role, user or group."""
    inline, managed = list(owner.policies.items()), list(owner.managed_policies.values())
    return (
        *(parse(f"policy {name} of {owner.name}", _text(document)) for name, document in inline),
        *(parse(f"managed policy {policy.name}", _default_version(policy)) for policy in managed),
    )


def _managed(arn: str) -> Policy:
    policy = _iam().managed_policies[arn]
    return parse(f"permissions boundary {policy.name}", _default_version(policy))


def _default_version(policy: ManagedPolicy) -> str:
    return _text(next(version.document for version in policy.versions if version.is_default))


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document)


def _tags(tags: Any) -> dict[str, tuple[str, ...]]:
    entries = tags.values() if isinstance(tags, dict) else tags or []
    return {f"aws:principaltag/{tag['Key'].lower()}": (tag["Value"],) for tag in entries}


def _iam() -> IAMBackend:
    return iam_backends[credentials.account()]["aws"]
