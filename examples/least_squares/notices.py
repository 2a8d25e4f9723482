"""Notices that this member has to go: SIGTERM, and the Spot interruption notice in its instance's metadata (docs/extend.md, "Surviving")."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import urllib.request

POLL_SECONDS = 5.0
METADATA = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254"
# Metadata is on the instance itself: no proxy leads there, even if the environment names one.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Notices:
    """Listens for notices from the moment it is made; `kind` is that of the first one."""

    def __init__(self) -> None:
        self.kind: str | None = None
        self._came = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: self._note("sigterm"))
        if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true":
            threading.Thread(target=self._poll, daemon=True).start()

    @property
    def came(self) -> bool:
        """Whether this member has to go."""
        return self._came.is_set()

    def _note(self, kind: str) -> None:
        self.kind = self.kind or kind
        self._came.set()

    def _poll(self) -> None:
        while not self._came.wait(POLL_SECONDS):
            if read_spot_notice():
                self._note("spot")


def read_spot_notice() -> bool:
    """Whether the instance is about to be reclaimed; metadata answers 404 until it is, and may fail at any time."""
    with contextlib.suppress(OSError):
        token = _ask("PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        return bool(_ask("GET", "meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": token.decode()}))
    return False


def _ask(method: str, item: str, headers: dict[str, str]) -> bytes:
    request = urllib.request.Request(f"{METADATA}/latest/{item}", headers=headers, method=method)  # noqa: S310
    with DIRECT.open(request, timeout=2) as answer:
        body: bytes = answer.read()
        return body
