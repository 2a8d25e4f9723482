"""What no AWS API offers and a rehearsal needs: take a Spot instance away, change what a market can lend.

It is asked for at the twin's own address, below a path that no AWS service has, so that another process can ask.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twin import compute
from twin.compute import CannotReclaim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

PATH = "/_twin/"
HEADER = "X-Twin-Control"  # a page in a browser cannot send it across sites, so that no page can reclaim anything
_STATUS = {200: "200 OK", 400: "400 Bad Request", 403: "403 Forbidden", 404: "404 Not Found"}


def before(application: Application) -> Application:
    """Answer control requests; hand everything else on to `application`."""

    def answering(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith(PATH):
            return application(environ, start_response)
        size = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(size)
        allowed = environ["REQUEST_METHOD"] == "POST" and "HTTP_" + HEADER.upper().replace("-", "_") in environ
        status, document = answer(path.removeprefix(PATH), body) if allowed else (403, {"error": f"POST with {HEADER}"})
        answered = json.dumps(document).encode()
        start_response(_STATUS[status], [("Content-Type", "application/json"), ("Content-Length", str(len(answered)))])
        return [answered]

    return answering


def answer(what: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Do what is asked: the HTTP status, and a JSON document with the outcome or the error."""
    try:
        asked = json.loads(body)
        if what == "reclaim":
            instance = compute.reclaim(asked["job_id"], asked.get("member"), asked.get("notice_seconds"))
            return 200, {"instance_id": instance}
        if what == "capacity":
            compute.set_capacity(asked["market"], float(asked["vcpus"]))
            return 200, {"market": asked["market"], "vcpus": asked["vcpus"]}
    except (CannotReclaim, KeyError, TypeError, ValueError) as error:
        return 400, {"error": str(error)}
    return 404, {"error": f"the twin has no control {what!r}: it has reclaim and capacity"}
