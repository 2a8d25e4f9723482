"""What an HTTP request to the twin asks for: service, operation and parameters, whatever the protocol.

Protocols as botocore's service models name them: json (the operation in ``X-Amz-Target``), query and ec2 (in ``Action``),
rest-json (in method and path), rest-xml (S3; see `twin.iam.permissions.s3`), smithy-rpc-v2-cbor (in the path).
"""

from __future__ import annotations

import functools
import io
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from twin import credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

_REST_SERVICES = ("batch", "lambda", "scheduler")
_PREFIXES = {"monitoring": "cloudwatch"}
_DISCARDED_AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class Signature:
    """What a request is signed with.

    Parameters
    ----------
    value
        The signature itself, in hexadecimal.
    """

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    value: str
    session_token: str | None
    in_query: bool = False


@dataclass(frozen=True)
class Call:
    """One API call.

    Parameters
    ----------
    service
        The prefix of its actions in policies: ``s3``, ``states``.
    operation
        The API operation; empty for S3, whose operations are distinguished by method, path and query.
    parameters
        Its input, with the names of the service's API.
    """

    service: str
    operation: str
    region: str
    method: str
    path: str
    host: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b""

    def arn(self, resource: str) -> str:
        """The ARN of a resource of this service, in the caller's region and account."""
        return f"arn:aws:{self.service}:{self.region}:{credentials.account()}:{resource}"


class Malformed(Exception):
    """The request's Authorization header cannot be read."""


def signature(environ: Mapping[str, Any]) -> Signature | None:
    """The signature of a request, from its header or its query; None if it has none.

    Raises
    ------
    Malformed
        There is one, but not in that form.
    """
    header = environ.get("HTTP_AUTHORIZATION", "")
    query = _query(environ)
    if header.startswith("AWS4-HMAC-SHA256"):
        parts = dict(
            part.strip().split("=", 1) for part in header.removeprefix("AWS4-HMAC-SHA256").split(",") if "=" in part
        )
        token = environ.get("HTTP_X_AMZ_SECURITY_TOKEN")
        date = environ.get("HTTP_X_AMZ_DATE", "")
    elif "X-Amz-Credential" in query:
        parts = {name: query.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders", "Signature")}
        token, date = query.get("X-Amz-Security-Token"), query.get("X-Amz-Date", "")
    elif "AWSAccessKeyId" in query:  # what boto3 makes of a presigned URL of S3 in us-east-1: Signature Version 2
        token = query.get("x-amz-security-token")
        return Signature(query["AWSAccessKeyId"], "", credentials.region(), "s3", (), "", token, in_query=True)
    elif header:
        raise Malformed("the twin reads Signature Version 4 only")
    else:
        return None
    try:
        access_key, _, region, service, _ = parts["Credential"].split("/")
        signed = tuple(parts["SignedHeaders"].split(";"))
        return Signature(access_key, date, region, service, signed, parts["Signature"], token, in_query=not header)
    except (KeyError, ValueError) as error:
        raise Malformed("the Authorization header is not of the form that Signature Version 4 has") from error


def read(environ: dict[str, Any], signed: Signature | None) -> Call:
    """The call that a request makes. The body is read where the permissions depend on it, and stays readable."""
    service = signed.service if signed else "s3"
    query, path = _query(environ), _path(environ)
    headers = _headers(environ)
    reads_body = service != "s3" or (environ["REQUEST_METHOD"] == "POST" and "delete" in query)
    body = _body(environ) if reads_body else b""
    operation, parameters = ("", {}) if service == "s3" else _operation(service, environ, path, query, body)
    return Call(
        service=_PREFIXES.get(service, service),
        operation=operation,
        region=signed.region if signed else credentials.region(),
        method=environ["REQUEST_METHOD"],
        path=path,
        host=environ.get("HTTP_HOST", ""),
        query=query,
        headers=headers,
        parameters=parameters,
        body=body,
    )


def discard_body(environ: Mapping[str, Any]) -> None:
    """Read what the client still sends: closing the connection on it would cost the client our answer."""
    left = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"]
    while left > 0 and (data := body.read(min(left, _DISCARDED_AT_A_TIME))):
        left -= len(data)


def _operation(
    service: str, environ: Mapping[str, Any], path: str, query: Mapping[str, str], body: bytes
) -> tuple[str, dict[str, Any]]:
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return target.rsplit(".", 1)[-1], _json(body)
    if "/operation/" in path:
        return path.rsplit("/", 1)[-1], {}
    if service in _REST_SERVICES:
        return _rest_operation(service, environ["REQUEST_METHOD"], path, query, body)
    form = {name: values[0] for name, values in parse_qs(body.decode(errors="replace"), keep_blank_values=True).items()}
    parameters = {**query, **form}
    return parameters.get("Action", ""), parameters


def _rest_operation(
    service: str, method: str, path: str, query: Mapping[str, str], body: bytes
) -> tuple[str, dict[str, Any]]:
    for name, route_method, route in _routes(service):
        if method == route_method and (match := route.fullmatch(path.rstrip("/") or "/")):
            return name, {**query, **_json(body), **{key: unquote(value) for key, value in match.groupdict().items()}}
    return "", {}


@functools.cache
def _routes(service: str) -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """Name, method and path of a service's operations; those with the most fixed text first."""
    model = credentials.botocore_session().get_service_model(service)
    routes = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        template = http["requestUri"].split("?")[0].rstrip("/") or "/"
        pattern = re.sub(
            r"\\\{(\w+)(\\\+)?\\\}", lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", re.escape(template)
        )
        routes.append((len(re.sub(r"\{[^}]*\}", "", template)), name, http["method"], re.compile(pattern)))
    return tuple((name, method, pattern) for _, name, method, pattern in sorted(routes, key=lambda route: -route[0]))


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _query(environ: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True).items()
    }


def _path(environ: Mapping[str, Any]) -> str:
    """The decoded path; WSGI passes its bytes as Latin-1."""
    return str(environ.get("PATH_INFO", "/")).encode("latin-1").decode(errors="replace")


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
    headers = {
        name[5:].replace("_", "-").lower(): str(value) for name, value in environ.items() if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return headers


def _body(environ: dict[str, Any]) -> bytes:
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", ""):
        body = environ["wsgi.input"].read()
    else:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return bytes(body)
