"""`reconcile`'s handler: what it answers, measures, logs and raises, on AWS in memory."""

from __future__ import annotations

import json
from dataclasses import asdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

import reconcile
from spotline.clients import Clients, retry_config
from spotline.gangs import Gang
from spotline.launching import utc_now
from spotline.run_table import RunTable
from tests.unit.modelled import Modelled
from tests.unit.protocol.calls import InternalServerError
from tests.unit.protocol.scenes import at_the_gang
from tests.unit.protocol.steps import MACHINE
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from tests.unit.protocol.steps import Execution as Ran


class Context:
    """Lambda's context, with so much time left."""

    function_name = "reconcile"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:reconcile"
    aws_request_id = "52fdfc07-2182-454f-963f-5f0f9a621d72"

    def __init__(self, milliseconds: int = 300_000) -> None:
        self.milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


def list_newest(*, stateMachineArn: str, **_: Any) -> dict[str, Any]:  # noqa: N803  as the API names it
    assert stateMachineArn == MACHINE
    return {"executions": []}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """AWS in memory, to which the handler connects."""
    world = World()
    steps = {name: getattr(world.steps, name) for name in dir(world.steps) if not name.startswith("_")}
    steps["list_executions"] = list_newest
    dynamodb = Modelled("dynamodb", world.dynamodb, TableName="runs")
    clients = SimpleNamespace(**{**vars(world.clients), "steps": SimpleNamespace(**steps), "dynamodb": dynamodb})
    monkeypatch.setattr(Clients, "connect", lambda: clients)
    for name, value in asdict(world.look_settings).items():
        monkeypatch.setenv(name.upper(), str(value))
    return world


def handle(event: dict[str, Any], milliseconds: int = 300_000) -> dict[str, Any]:
    answer: dict[str, Any] = reconcile.handler(event, Context(milliseconds))  # type: ignore[arg-type]
    return answer


def emitted(output: str) -> list[tuple[str, Any]]:
    """Name and value of each metric, with its dimension."""
    found = []
    for line in (json.loads(line) for line in output.splitlines() if '"_aws"' in line):
        [declared] = line["_aws"]["CloudWatchMetrics"]
        [name] = [metric["Name"] for metric in declared["Metrics"]]
        found.append((" ".join([name, *(line[one] for one in declared["Dimensions"][0])]), line[name]))
    return found


QUEUES = ["main", "backfill", "gpu-spot", "gpu-on-demand"]


def test_an_event_answers_what_was_done_about_its_run_and_measures_nothing(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    world.land("v1")
    world.land("v2")
    execution, other = world.steps.executions.values()
    world.stop(execution)
    world.stop(other)
    job, other_job = world.batch.jobs.values()
    answer = handle({"source": "aws.states", "detail": {"name": execution.name}})
    done = [f"{execution.name}: ended stray preprocess job {job['jobId']}"]
    assert answer == {"looked_at": 1, "acted": done}
    assert (job["status"], other_job["status"]) == ("FAILED", "RUNNABLE")
    assert emitted(capsys.readouterr().out) == []
    [logged] = [vars(line) for line in caplog.records]
    assert (logged["message"], logged["actions"]) == ("acted", done)


def test_the_schedule_measures_how_things_stand(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert handle({"source": "aws.scheduler", "detail": "{}"}) == {"looked_at": 0, "acted": []}
    assert emitted(capsys.readouterr().out) == [
        *((f"RunnableAgeSeconds {queue}", 0) for queue in QUEUES),
        ("OnDemandGangHoursToday", 0),
        ("OnDemandGangHoursLimit", 12),
        ("RunsSucceededToday", 0),
    ]
    assert caplog.records == []


def test_each_launched_gang_is_counted_for_its_market(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    [execution] = at_the_gang(world)
    world.table.record_gang(gang_of(world, execution))
    handle({})
    assert ("GangLaunched SPOT", 1) in emitted(capsys.readouterr().out)


def gang_of(world: World, execution: Ran) -> Gang:
    """The gang as launch_gang records it, a moment before it launches it."""
    [task] = world.launches
    return Gang(execution.name, 1, task.market, task.task_token, execution.arn, utc_now(), redrives=0)


def test_what_failed_is_raised_in_the_end_by_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("v1", "v2"):
        world.land(version)
    bad = [{"name": name, "status": "RUNNING", "startDate": utc_now()} for name in sorted(world.steps.executions)]
    monkeypatch.setattr("looking.list_running", lambda *_: {})
    steps = Clients.connect().steps

    def fail(**_: Any) -> Any:
        raise InternalServerError

    monkeypatch.setattr(steps, "describe_execution", fail)
    with pytest.raises(reconcile.LookUnfinished) as raised:
        handle({})
    names = [part.partition(":")[0] for part in str(raised.value).split("; ")]
    assert names == [one["name"] for one in bad]


def await_summary(monkeypatch: pytest.MonkeyPatch, awaited: bool) -> list[tuple[str, Any, dict[str, Any]]]:
    """Messages wait for a summary, or none does; the calls of Lambda, with the service and configuration of their client."""
    calls: list[tuple[str, Any, dict[str, Any]]] = []

    def connect(service: str, config: Any = None) -> Any:
        fake = SimpleNamespace(invoke=lambda **call: calls.append((service, config, call)))
        return Modelled("lambda", fake)

    monkeypatch.setattr(boto3, "client", connect)
    monkeypatch.setattr(RunTable, "has_unsent_messages", lambda _: awaited)
    return calls


@pytest.mark.parametrize("awaited", [True, False])
def test_the_schedule_asks_for_a_summary_of_messages_that_wait_for_one(
    world: World, awaited: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = await_summary(monkeypatch, awaited)
    handle({})
    call = {"FunctionName": "notify", "InvocationType": "Event", "Payload": b'{"kind": "summary"}'}
    usual: Any = retry_config()
    assert [(service, config.retries, asked) for service, config, asked in calls] == (
        [("lambda", usual.retries, call)] if awaited else []
    )


def test_an_event_asks_for_no_summary(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = await_summary(monkeypatch, True)
    handle({"source": "aws.states", "detail": {"name": "nobody-20130209-0"}})
    assert calls == []


def test_a_summary_that_cannot_be_asked_for_is_named_in_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: RunTable) -> bool:
        raise InternalServerError

    monkeypatch.setattr(RunTable, "has_unsent_messages", fail)
    with pytest.raises(reconcile.LookUnfinished, match=r"^summary of messages: InternalServerError"):
        handle({})


def test_a_gauge_that_cannot_be_read_is_named_in_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> Any:
        raise InternalServerError

    monkeypatch.setattr(Clients.connect().steps, "list_executions", fail)
    with pytest.raises(reconcile.LookUnfinished, match=r"^gauges: InternalServerError"):
        handle({})


@pytest.mark.parametrize(("milliseconds", "read"), [(60_000, True), (59_999, False)])
def test_a_minute_of_its_time_is_kept_for_what_is_under_way(world: World, milliseconds: int, read: bool) -> None:
    world.land("v1")
    [execution] = world.steps.executions.values()
    world.stop(execution)
    if read:
        assert handle({}, milliseconds)["looked_at"] == 1
    else:
        with pytest.raises(reconcile.LookUnfinished, match=r"^1 runs: no time was left"):
            handle({}, milliseconds)
