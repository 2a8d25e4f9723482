"""Lambda's Invoke operation as clients see it: statuses, headers and errors.

Source: "Invoke" (Lambda API reference).
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from moto.core.exceptions import JsonRESTError

from twin.functions.definition import UnsupportedFunction
from twin.functions.pool import Closed, Throttled
from twin.functions.service import PayloadNotJson, PayloadTooLarge
from twin.patches.awslambda import REQUEST_ID

if TYPE_CHECKING:
    from moto.awslambda.models import LambdaFunction
    from moto.awslambda.responses import LambdaResponse

    from twin.functions.service import Service

Response = tuple[int, dict[str, str], bytes]
"""Status, headers and body of an HTTP response."""

_REFUSALS: dict[type[Exception], tuple[str, int]] = {
    Throttled: ("TooManyRequestsException", 429),
    PayloadTooLarge: ("RequestTooLargeException", 413),
    PayloadNotJson: ("InvalidRequestContentException", 400),
    UnsupportedFunction: ("InvalidRuntimeException", 502),
    Closed: ("ServiceException", 500),
    OSError: ("ServiceException", 500),  # no memory, disk or process left to start it
}


class Refusal(JsonRESTError):
    """An error of the Invoke operation: its name, status and members as the API reference lists them."""

    def __init__(self, error: Exception) -> None:
        name, self.code = next(answer for kind, answer in _REFUSALS.items() if isinstance(error, kind))
        message = str(error)
        super().__init__(name, message)
        members = {"Reason": error.reason} if isinstance(error, Throttled) else {}
        self.description = json.dumps({"__type": name, "message": message, "Type": "User", **members})


def invoke(service: Service, request: LambdaResponse) -> Response:
    """Answer an Invoke that has come in over HTTP.

    Raises
    ------
    Refusal
        Lambda does not run the function for this request.
    """
    name = unquote(request.path.rsplit("/", 2)[-2])
    qualifier = request.querystring.get("Qualifier", [None])[0]
    function = request.backend.get_function(name, qualifier)
    try:
        return _invoke(service, function, request.headers, bytes(request.raw_body or b""))
    except tuple(_REFUSALS) as error:
        raise Refusal(error) from error


def invoke_in_process(service: Service, function: LambdaFunction, body: str, response_headers: dict[str, str]) -> bytes:
    """Run a function for another of moto's services."""
    execution = service.invoke(function, body.encode())
    if execution.outcome.failed:
        response_headers["x-amz-function-error"] = "Unhandled"
    return execution.outcome.payload


def _invoke(service: Service, function: LambdaFunction, headers: Any, payload: bytes) -> Response:
    kind = headers.get("X-Amz-Invocation-Type") or "RequestResponse"
    if kind == "DryRun":
        return _response(204, "", {}, b"")
    if kind == "Event":
        return _response(202, service.queue(function, payload), {}, b"")
    client_context = headers.get("X-Amz-Client-Context")
    execution = service.invoke(
        function, payload, None if client_context is None else base64.b64decode(client_context).decode()
    )
    answer = {"X-Amz-Executed-Version": str(function.version)}
    if execution.outcome.failed:
        answer["X-Amz-Function-Error"] = "Unhandled"
    if headers.get("X-Amz-Log-Type") == "Tail":
        answer["X-Amz-Log-Result"] = base64.b64encode(execution.log_tail).decode()
    return _response(200, execution.request_id, answer, execution.outcome.payload)


def _response(status: int, request_id: str, headers: dict[str, str], body: bytes) -> Response:
    # moto takes the status from a header of that name.
    named = {REQUEST_ID: request_id} if request_id else {}
    return status, {"status": str(status), **named, **headers}, body
