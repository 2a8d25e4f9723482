"""How each service says no: status, headers and body in the shape that its clients expect.

Source: "Common errors" of each service's API reference, and the error shapes of botocore's service models.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from xml.sax.saxutils import escape

_REST_JSON = frozenset({"batch", "lambda", "scheduler"})
_QUERY = frozenset({"cloudformation", "iam", "sns", "sts", "autoscaling", "elasticloadbalancing"})


class Kind(Enum):
    """Why a request is refused; the values are the codes in the JSON, query, S3 and EC2 protocols."""

    DENIED = ("AccessDeniedException", "AccessDenied", "AccessDenied", "UnauthorizedOperation")
    UNKNOWN_KEY = ("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "AuthFailure")
    WRONG_TOKEN = ("UnrecognizedClientException", "InvalidClientTokenId", "InvalidToken", "AuthFailure")
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


# Source: the throttling and server errors of botocore's service models, and of each service's "Common errors" where the model
# has none. Batch's is in no document; it is what its clients report.
_THROTTLED = {
    "batch": ("TooManyRequestsException", 429),
    "cloudwatch": ("Throttling", 400),
    "ec2": ("RequestLimitExceeded", 503),
    "iam": ("Throttling", 400),
    "lambda": ("TooManyRequestsException", 429),
    "s3": ("SlowDown", 503),
    "scheduler": ("ThrottlingException", 429),
    "sns": ("Throttled", 429),
    "sts": ("Throttling", 400),
}
_FAILED = {
    "batch": "ServerException",
    "dynamodb": "InternalServerError",
    "ec2": "InternalError",
    "events": "InternalException",
    "iam": "ServiceFailure",
    "lambda": "ServiceException",
    "s3": "InternalError",
    "scheduler": "InternalServerException",
    "secretsmanager": "InternalServiceError",
    "sns": "InternalError",
}


def answer(service: str, method: str, kind: Kind, message: str) -> Answer:
    """The refusal of a request to a service (by its prefix in policies)."""
    json_code, query_code, s3_code, ec2_code = kind.value
    if service == "s3":
        return _shaped(service, method, s3_code, 400 if kind is Kind.WRONG_TOKEN else 403, message)
    if service == "ec2":
        return _shaped(service, method, ec2_code, 403, message)
    if service in _QUERY:
        code = "AuthorizationError" if service == "sns" and kind is Kind.DENIED else query_code
        return _shaped(service, method, code, 403, message)
    if service == "sqs":
        return _shaped(service, method, query_code, 403, message)
    return _shaped(service, method, json_code, 403 if service in _REST_JSON else 400, message)


def build_service_error(service: str, method: str, *, throttled: bool) -> Answer:
    """What a service that has too much to do, or that has failed, says to a request that may be quite in order."""
    if throttled:
        code, status = _THROTTLED.get(service, ("ThrottlingException", 400))
        return _shaped(service, method, code, status, "Rate exceeded")
    return _shaped(service, method, _FAILED.get(service, "InternalFailure"), 500, "We encountered an internal error.")


def _shaped(service: str, method: str, code: str, status: int, message: str) -> Answer:
    """An error in the protocol of the service."""
    request_id = str(uuid.uuid4())
    fault = "Sender" if status < 500 else "Receiver"
    if service == "s3":
        body = _xml(
            f"<Error><Code>{code}</Code><Message>{escape(message)}</Message><RequestId>{request_id}</RequestId></Error>"
        )
        return _answer(status, "application/xml", b"" if method == "HEAD" else body, request_id)
    if service == "ec2":
        error = f"<Errors><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error></Errors>"
        body = _xml(f"<Response>{error}<RequestID>{request_id}</RequestID></Response>")
        return _answer(status, "text/xml", body, request_id)
    if service in _QUERY:
        error = f"<Error><Type>{fault}</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        body = _xml(f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>")
        return _answer(status, "text/xml", body, request_id)
    if service == "sqs":  # JSON since 2023, with the codes of the query protocol for clients that know those
        body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": message}).encode()
        compatible = ("x-amzn-query-error", f"{code};{fault}")
        return _answer(status, "application/x-amz-json-1.0", body, request_id, compatible)
    if service in _REST_JSON:
        body = json.dumps({"message": message, "Message": message}).encode()
        return _answer(status, "application/json", body, request_id, ("x-amzn-ErrorType", code))
    body = json.dumps({"__type": code, "message": message, "Message": message}).encode()
    return _answer(status, "application/x-amz-json-1.1", body, request_id)


def _answer(status: int, content_type: str, body: bytes, request_id: str, *headers: tuple[str, str]) -> Answer:
    return Answer(
        f"{status} {HTTPStatus(status).phrase}",
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
