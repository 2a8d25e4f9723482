"""Clients that call the twin as a role does, because AWS's services act with the roles they are given."""

from __future__ import annotations

import threading
from typing import Any

from botocore.config import Config

from twin.credentials import botocore_session, endpoint, region, role_credentials

# A function or a job answers when it is done; the Task's own timeout is what ends the wait.
_LONGEST_ANSWER_SECONDS = 3600

_lock = threading.Lock()
_clients: dict[tuple[str, str, str], Any] = {}


def client_of_role(service: str, role_arn: str) -> Any:
    """A client of `service` with the credentials of `role_arn`; made once, and safe to use from threads.

    Parameters are passed on unchecked, so that the service's own refusal is what the caller sees.

    Raises
    ------
    LookupError
        No such role is deployed.
    """
    key = (endpoint(), service, role_arn)
    with _lock:
        if key not in _clients:
            _clients[key] = _new_client(service, role_arn)
        return _clients[key]


def forget() -> None:
    """Drop every client; their credentials end with the twin that issued them."""
    with _lock:
        _clients.clear()


def _new_client(service: str, role_arn: str) -> Any:
    keys = role_credentials(role_arn)
    return botocore_session().create_client(
        service,
        region_name=region(),
        endpoint_url=endpoint(),
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=keys["AWS_SESSION_TOKEN"],
        config=Config(
            parameter_validation=False,
            retries={"total_max_attempts": 1},
            read_timeout=_LONGEST_ANSWER_SECONDS,
            proxies={},
            max_pool_connections=64,
        ),
    )
