"""How each service says no: status, headers and body in the shape that its clients expect.

Source: "Common errors" of each service's API reference, and the error shapes of botocore's service models.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from enum import Enum
from xml.sax.saxutils import escape

_REST_JSON = frozenset({"batch", "lambda", "scheduler"})
_QUERY = frozenset({"cloudformation", "iam", "sns", "sts", "autoscaling", "elasticloadbalancing"})


class Kind(Enum):
    """Why a request is refused; the values are the codes in the JSON, query, S3 and EC2 protocols."""

    DENIED = ("AccessDeniedException", "AccessDenied", "AccessDenied", "UnauthorizedOperation")
    UNKNOWN_KEY = ("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "AuthFailure")
    WRONG_SIGNATURE = (
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "SignatureDoesNotMatch",
        "AuthFailure",
    )
    NO_CREDENTIALS = (
        "MissingAuthenticationTokenException",
        "MissingAuthenticationToken",
        "AccessDenied",
        "MissingAuthenticationToken",
    )


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def answer(service: str, method: str, kind: Kind, message: str) -> Answer:
    """The refusal of a request to a service (by its prefix in policies)."""
    json_code, query_code, s3_code, ec2_code = kind.value
    request_id = str(uuid.uuid4())
    if service == "s3":
        body = _xml(
            f"<Error><Code>{s3_code}</Code><Message>{escape(message)}</Message><RequestId>{request_id}</RequestId></Error>"
        )
        return _answer("403 Forbidden", "application/xml", b"" if method == "HEAD" else body, request_id)
    if service == "ec2":
        error = f"<Errors><Error><Code>{ec2_code}</Code><Message>{escape(message)}</Message></Error></Errors>"
        return _answer(
            "403 Forbidden",
            "text/xml",
            _xml(f"<Response>{error}<RequestID>{request_id}</RequestID></Response>"),
            request_id,
        )
    if service in _QUERY:
        code = "AuthorizationError" if service == "sns" and kind is Kind.DENIED else query_code
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        body = _xml(f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>")
        return _answer("403 Forbidden", "text/xml", body, request_id)
    if service == "sqs":  # JSON since 2023, with the codes of the query protocol for clients that know those
        body = json.dumps({"__type": f"com.amazonaws.sqs#{query_code}", "message": message}).encode()
        compatible = ("x-amzn-query-error", f"{query_code};Sender")
        return _answer("403 Forbidden", "application/x-amz-json-1.0", body, request_id, compatible)
    if service in _REST_JSON:
        body = json.dumps({"message": message, "Message": message}).encode()
        return _answer("403 Forbidden", "application/json", body, request_id, ("x-amzn-ErrorType", json_code))
    body = json.dumps({"__type": json_code, "message": message, "Message": message}).encode()
    return _answer("400 Bad Request", "application/x-amz-json-1.1", body, request_id)


def _answer(status: str, content_type: str, body: bytes, request_id: str, *headers: tuple[str, str]) -> Answer:
    return Answer(
        status,
        (
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("x-amzn-RequestId", request_id),
            ("x-amz-request-id", request_id),
            *headers,
        ),
        body,
    )


def _xml(text: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()
