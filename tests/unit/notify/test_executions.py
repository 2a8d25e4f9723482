"""What Step Functions describes of an execution, when it is not what our state machine writes."""

from __future__ import annotations

from announce import executions


def test_what_moto_describes_can_be_read() -> None:
    assert executions._is_superseded(None) is False
    assert executions._is_superseded('"text"') is False
    assert executions._is_superseded("{") is False
    assert executions._run("{}") is None
