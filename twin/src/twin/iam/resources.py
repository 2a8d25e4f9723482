"""Policies of resources: buckets, queues, topics, functions, secrets; and the trust policies of roles."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from moto.awslambda.models import lambda_backends
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from twin import credentials
from twin.iam.policies import Policy, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.iam.policies import Ask


def policy(ask: Ask) -> Policy:
    """The policy of the resource that is asked for; empty if it has none."""
    parts = ask.resource.split(":", 5)
    if len(parts) < 6 or parts[2] not in _DOCUMENTS:
        return ()
    with contextlib.suppress(LookupError):
        document = _DOCUMENTS[parts[2]](parts[3], parts[5])
        if document:
            return parse(f"the policy of {ask.resource}", _text(document))
    return ()


def trust(ask: Ask) -> Policy | None:
    """The trust policy of the role to be assumed; None for any other action."""
    if ask.action != "sts:AssumeRole":
        return None
    for role in list(iam_backends[credentials.account()]["aws"].roles.values()):
        if role.arn == ask.resource:
            return parse(f"the trust policy of role {role.name}", _text(role.assume_role_policy_document))
    return ()


def object_exists(bucket: str, key: str, version_id: str) -> bool:
    """Whether S3 holds this object, or this version of it; true of a bucket that it does not hold."""
    found = s3_backends[credentials.account()]["aws"].buckets.get(bucket)
    if found is None:
        return True
    versions = found.keys.getlist(key, default=[])
    if version_id:
        return any(str(version.version_id) == version_id for version in versions)
    return bool(versions) and hasattr(versions[-1], "etag")


def _bucket(_region: str, resource: str) -> Any:
    bucket = s3_backends[credentials.account()]["aws"].buckets[resource.split("/", 1)[0]]
    return bucket.policy.decode() if bucket.policy else ""


def _queue(region: str, resource: str) -> Any:
    return sqs_backends[credentials.account()][region].queues[resource].policy


def _topic(region: str, resource: str) -> Any:
    return (
        sns_backends[credentials.account()][region]
        .topics[f"arn:aws:sns:{region}:{credentials.account()}:{resource}"]
        .policy
    )


def _function(region: str, resource: str) -> Any:
    name = resource.removeprefix("function:").split(":", 1)[0]
    functions = lambda_backends[credentials.account()][region].list_functions()
    statements = next((f.policy.statements for f in functions if f.function_name == name), [])
    return {"Statement": statements} if statements else ""


def _secret(region: str, resource: str) -> Any:
    arn = f"arn:aws:secretsmanager:{region}:{credentials.account()}:{resource}"
    secrets = list(secretsmanager_backends[credentials.account()][region].secrets.values())
    return next((getattr(secret, "policy", None) for secret in secrets if secret.arn == arn), None)


_DOCUMENTS: dict[str, Callable[[str, str], Any]] = {
    "s3": _bucket,
    "sqs": _queue,
    "sns": _topic,
    "lambda": _function,
    "secretsmanager": _secret,
}


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document)
