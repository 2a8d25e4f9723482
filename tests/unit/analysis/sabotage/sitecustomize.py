"""Put on a member's PYTHONPATH by tests: makes one worker misbehave at one moment, which no signal can do.

`SABOTAGE` is `<rank>:<round or phase>:<what>`: `stick` sleeps for ever, `slow` computes for `SABOTAGE_SECONDS`.
"""

import os
import sys
import time


def _misbehave(what: str) -> None:
    if what == "stick":
        while True:
            time.sleep(3600)
    until = time.monotonic() + float(os.environ["SABOTAGE_SECONDS"])
    while time.monotonic() < until:
        sum(range(1000))


def _prepare() -> None:
    from analysis.protocol import SupervisorLink

    rank, at, what = os.environ["SABOTAGE"].split(":")
    if os.environ["WORKER_RANK"] != rank:
        return
    send = SupervisorLink.send

    def send_and_misbehave(self: SupervisorLink, **message: object) -> None:
        send(self, **message)
        if at in (str(message.get("round")), message.get("phase")):
            _misbehave(what)

    SupervisorLink.send = send_and_misbehave  # type: ignore[method-assign]


if "SABOTAGE" in os.environ and "WORKER_RANK" in os.environ and "analysis.worker" in " ".join(sys.orig_argv):
    _prepare()
