"""The door of the twin's AWS: who are you, and may you do that? Asked of every request before moto sees it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from twin import credentials
from twin.iam import permissions, policies, principals, refusals, requests, resources, signatures
from twin.iam.policies import Ask, Decision, Policies
from twin.iam.refusals import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from twin.iam.conditions import Context
    from twin.iam.principals import Principal
    from twin.iam.requests import Call

_logger = logging.getLogger(__name__)

_OPEN_PATHS = ("/moto-api", "/latest/", "/favicon.ico")


@dataclass(frozen=True)
class Refused(Exception):
    """A request must not pass."""

    service: str
    kind: Kind
    message: str


class Exercise(NamedTuple):
    """That a role has used an action which a statement of its policies allows."""

    owner: str
    policy: str
    statement: str
    action: str


exercised: set[Exercise] = set()
"""What the callers of this twin have used of what they are allowed; as large as their policies at most."""


def guard(
    application: Callable[[dict[str, Any], Any], Iterable[bytes]], environ: dict[str, Any], start_response: Any
) -> Iterable[bytes]:
    """Let a WSGI request through to `application`, or answer it with the service's own error."""
    try:
        check(environ)
    except Refused as refused:
        _logger.warning("%s", refused.message)
        answer = refusals.answer(refused.service, environ["REQUEST_METHOD"], refused.kind, refused.message)
        requests.discard_body(environ)
        start_response(answer.status, list(answer.headers))
        return [answer.body]
    return application(environ, start_response)


def check(environ: dict[str, Any]) -> None:
    """Authenticate and authorise a request.

    Raises
    ------
    Refused
        Its credentials are unknown, or its caller may not do this.
    """
    if environ.get("PATH_INFO", "").startswith(_OPEN_PATHS) or environ["REQUEST_METHOD"] == "OPTIONS":
        return
    try:
        signed = requests.signature(environ)
    except requests.Malformed as error:
        raise Refused("s3", Kind.NO_CREDENTIALS, str(error)) from error
    if signed is not None and signed.access_key == credentials.administrator()["AWS_ACCESS_KEY_ID"]:
        return
    call = requests.read(environ, signed)
    if signed is None:
        if "HTTP_X_AMZ_TARGET" in environ:
            raise Refused("json", Kind.NO_CREDENTIALS, "Request is missing Authentication Token")
        principal = principals.ANONYMOUS
    else:
        principal = _authenticate(environ, signed, call)
    for ask in permissions.needed(call):
        decision = decide(principal, ask)
        if not decision.allowed:
            raise Refused(call.service, Kind.DENIED, _message(principal, ask, decision))
        if decision.by is not None:
            exercised.add(Exercise(principal.owner, decision.by.origin, decision.by.element.get("Sid", ""), ask.action))


def decide(principal: Principal, ask: Ask) -> Decision:
    """Whether a principal has one permission, with the policies that moto holds now."""
    context = {**_circumstances(ask), **principal.context, **{key.lower(): value for key, value in ask.context.items()}}
    deciding = Policies(
        identity=principal.identity,
        boundaries=principal.boundaries,
        resource=resources.policy(ask),
        trust=resources.trust(ask),
    )
    return policies.decide(ask, principal.caller, deciding, context)


def _authenticate(environ: Mapping[str, Any], signed: requests.Signature, call: Call) -> Principal:
    try:
        principal = principals.find(signed.access_key, signed.session_token)
    except principals.UnknownAccessKey as error:
        raise Refused(call.service, Kind.UNKNOWN_KEY, _UNKNOWN_KEY_MESSAGES.get(call.service, _UNKNOWN_KEY)) from error
    except principals.WrongSessionToken as error:
        raise Refused(call.service, Kind.WRONG_TOKEN, _WRONG_TOKEN_MESSAGES.get(call.service, _UNKNOWN_KEY)) from error
    if not signatures.matches(signed, principal.secret, call, environ):
        raise Refused(call.service, Kind.WRONG_SIGNATURE, _WRONG_SIGNATURE)
    return principal


_UNKNOWN_KEY = "The security token included in the request is invalid."
_UNKNOWN_KEY_MESSAGES = {"s3": "The AWS Access Key Id you provided does not exist in our records."}
_WRONG_TOKEN_MESSAGES = {"s3": "The provided token is malformed or otherwise invalid."}
_WRONG_SIGNATURE = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method."
)


def _circumstances(ask: Ask) -> Context:
    """The condition keys that every request has. Source: "AWS global condition context keys" (IAM user guide)."""
    now = datetime.now(UTC)
    return {
        "aws:currenttime": (now.strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:epochtime": (str(int(now.timestamp())),),
        "aws:principalaccount": (credentials.account(),),
        "aws:principalisawsservice": ("false",),
        "aws:requestedregion": (_region(ask) or credentials.region(),),
        "aws:resourceaccount": (credentials.account(),),
        # The twin stands for AWS's HTTPS endpoints: nothing of the deployed system asks for plain HTTP on purpose.
        "aws:securetransport": ("true",),
        "aws:sourceip": ("127.0.0.1",),
        "aws:viaawsservice": ("false",),
    }


def _region(ask: Ask) -> str:
    parts = ask.resource.split(":", 5)
    return parts[3] if len(parts) > 5 else ""


def _message(principal: Principal, ask: Ask, decision: Decision) -> str:
    """AWS's words, and then what is missing."""
    text = (
        f"User: {principal.caller.arn} is not authorized to perform: {ask.action} on resource: {ask.resource} "
        f"{decision.reason}"
    )
    if decision.missing is None:
        return text
    return f"{text}. Missing in {principal.owner}: {json.dumps(decision.missing)}"
