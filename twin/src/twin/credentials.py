"""Who calls the twin: the administrator, and the roles that a deployed template gives to its functions and jobs.

moto's backends are global to the process, and so is what this module knows: `connect` and `disconnect` are called by the
twin that lends them an address.
"""

from __future__ import annotations

import functools
import os
import threading
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

if TYPE_CHECKING:
    from moto.iam.models import IAMBackend
    from moto.sts.models import STSBackend

ADMINISTRATOR = "administrator"
_ACCOUNT = "123456789012"
_EVERYTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
_LONGEST_SESSION_SECONDS = 43_200


class NotConnected(RuntimeError):
    """There is no running twin to call."""


class _Connection:
    """The twin that runs in this process, and what it has issued so far."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.endpoint: str | None = None
        self.administrator: dict[str, str] = {}
        self.roles: dict[str, dict[str, str]] = {}
        self.clients: dict[str, Any] = {}

    def turn_to(self, endpoint: str | None) -> None:
        self.endpoint = endpoint
        for issued in (self.administrator, self.roles, self.clients):
            issued.clear()


_twin = _Connection()


def account() -> str:
    """The twin's only account."""
    return _ACCOUNT


def region() -> str:
    """The region the twin plays, from ``AWS_REGION`` or ``AWS_DEFAULT_REGION``."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def endpoint() -> str:
    """The address of the running twin, such as ``http://127.0.0.1:4566``.

    Raises
    ------
    NotConnected
        No twin runs in this process.
    """
    if _twin.endpoint is None:
        raise NotConnected("no twin is running in this process: enter `with Twin(...)` first")
    return _twin.endpoint


def connect(url: str) -> None:
    """Let clients and credentials made from here on belong to the twin at `url`."""
    with _twin.lock:
        _twin.turn_to(url)


def disconnect() -> None:
    """Forget the twin: clients and credentials of one that has ended must not reach the next."""
    with _twin.lock:
        _twin.turn_to(None)


def administrator() -> dict[str, str]:
    """Keys of a user who may do everything, as environment variables of an AWS SDK."""
    with _twin.lock:
        if not _twin.administrator:
            _twin.administrator = _create_administrator()
        return dict(_twin.administrator)


def role_credentials(role_arn: str) -> dict[str, str]:
    """Temporary keys of a deployed role, as environment variables of an AWS SDK.

    They are minted inside the process, because the services that AWS lets assume a role (Lambda, ECS) have no keys of
    their own to call STS with.

    Raises
    ------
    LookupError
        No such role is deployed.
    """
    with _twin.lock:
        if role_arn not in _twin.roles:
            _twin.roles[role_arn] = _assume(role_arn)
        return dict(_twin.roles[role_arn])


def internal_client(service: str) -> Any:
    """A boto3 client of `service` that calls the twin as its administrator; shared, and safe to use from threads."""
    with _twin.lock:
        if service not in _twin.clients:
            _twin.clients[service] = _create_client(service)
        return _twin.clients[service]


@functools.cache
def botocore_session() -> botocore.session.Session:
    """A botocore session that knows nothing of the user's own profiles, so that no real account is ever called."""
    session = botocore.session.Session()
    session.set_config_variable("profile", None)
    session.set_config_variable("config_file", os.devnull)
    session.set_config_variable("credentials_file", os.devnull)
    return session


def _create_administrator() -> dict[str, str]:
    iam: IAMBackend = iam_backends[_ACCOUNT]["aws"]
    iam.create_user(region(), ADMINISTRATOR)
    iam.put_user_policy(ADMINISTRATOR, "everything", _EVERYTHING)
    key = iam.create_access_key(ADMINISTRATOR)
    return {"AWS_ACCESS_KEY_ID": key.access_key_id, "AWS_SECRET_ACCESS_KEY": key.secret_access_key}


def _assume(role_arn: str) -> dict[str, str]:
    iam: IAMBackend = iam_backends[_ACCOUNT]["aws"]
    if not any(role.arn == role_arn for role in iam.roles.values()):
        raise LookupError(f"no role {role_arn} is deployed in the twin")
    sts: STSBackend = sts_backends[_ACCOUNT]["aws"]
    session = sts.assume_role(
        region_name=region(),
        role_session_name="twin",
        role_arn=role_arn,
        policy="",
        duration=_LONGEST_SESSION_SECONDS,
        external_id="",
    )
    return {
        "AWS_ACCESS_KEY_ID": session.access_key_id,
        "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
        "AWS_SESSION_TOKEN": session.session_token,
    }


def _create_client(service: str) -> Any:
    keys = administrator()
    return botocore_session().create_client(
        service,
        region_name=region(),
        endpoint_url=endpoint(),
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        # The twin answers at once or is broken: repeating a call would only hide that. No proxy stands before 127.0.0.1.
        config=Config(retries={"total_max_attempts": 1}, proxies={}, max_pool_connections=50),
    )
