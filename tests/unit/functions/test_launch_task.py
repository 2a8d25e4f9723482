"""`launch_gang` from its event to its answer: what it writes down, fences off, answers at once, logs and counts."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, fields, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ConnectTimeoutError

import launch_gang
from spotline.clients import Clients
from spotline.documents import DocumentError
from spotline.failures import FENCED_OFF
from spotline.gangs import Gang
from spotline.layout import MANIFEST, analysis_prefix, preprocess_prefix
from spotline.manifests import CleanManifest
from spotline.run_table import RunTable
from spotline.runs import Market, Priority
from tests.unit.modelled import Modelled
from tests.unit.protocol.calls import InternalServerError
from tests.unit.protocol.scenes import at_the_gang, gang_jobs
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from tests.unit.protocol.steps import Execution

CONTEXT = SimpleNamespace(
    function_name="launch_gang", memory_limit_in_mb=256, invoked_function_arn="arn", aws_request_id="request"
)


class Function:
    """The deployed function: its environment, its event, its answer and its log."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.world = World(spot_max_gangs=2)
        at_the_gang(self.world)
        self.log = io.StringIO()
        for field in fields(launch_gang.Settings):
            patch.setenv(field.name.upper(), str(getattr(self.world.launch_settings, field.name)))
        clients = SimpleNamespace(**vars(self.world.clients))
        clients.dynamodb = Modelled("dynamodb", self.world.dynamodb, TableName="runs")
        patch.setattr(Clients, "connect", lambda: clients)
        launch_gang.logger.remove_keys(["run_id", "market"])  # they stay from call to call, as in a warm function
        patch.setattr(launch_gang.logger.registered_handler, "stream", self.log)

    @property
    def execution(self) -> Execution:
        [execution] = self.world.steps.executions.values()
        return execution

    def task(self) -> launch_gang.Task:
        return self.world.launches.pop(0)

    def handle(self, task: launch_gang.Task) -> dict[str, Any]:
        answer: dict[str, Any] = launch_gang.handler(asdict(task), cast("LambdaContext", CONTEXT))
        return answer

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def publish(self) -> None:
        """The run's gang publishes its analysis; then the execution is stopped and redriven, and asks for a gang again."""
        [job] = gang_jobs(self.world)
        self.world.start_job(job["jobId"])
        self.world.publish(job["jobId"])
        self.world.stop(self.execution)
        self.world.redrive(self.execution)


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Function:
    return Function(monkeypatch)


def counted(output: str) -> list[str]:
    """The markets of which a launched gang was counted."""
    return [json.loads(line)["Market"] for line in output.splitlines() if "GangLaunched" in line]


@pytest.mark.parametrize("market", Market)
def test_a_task_is_recorded_with_all_that_it_says_and_counted(
    market: Market, function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    task = replace(function.task(), market=market, priority=Priority.BACKFILL, redrives=4, falls_back=True)
    function.execution.redrives = 4
    assert function.handle(task) == {"outcome": "submitted", "generation": 1, "fenced_off": []}
    [gang] = function.world.table.gangs(task.run_id)
    [job] = gang_jobs(function.world)
    expected = Gang(
        task.run_id,
        1,
        market,
        task.task_token,
        task.execution_arn,
        gang.launched_at,
        gang.submitting_at,
        job["jobId"],
        Priority.BACKFILL,
        redrives=4,
        falls_back=True,
        hours_day=gang.hours_day,
    )
    assert gang == expected
    assert function.world.dynamodb.items[f"RUN#{task.run_id}", "RUN"]["execution_arn"] == task.execution_arn
    assert counted(capsys.readouterr().out) == [market.value]


def test_a_task_of_a_definition_from_before_it_said_more_is_daily_and_goes_by_the_clock(function: Function) -> None:
    task = function.task()
    event = {name: asdict(task)[name] for name in ("run_id", "execution_arn", "task_token", "market")}
    launch_gang.handler(event, cast("LambdaContext", CONTEXT))
    [gang] = function.world.table.gangs(task.run_id)
    assert (gang.priority, gang.redrives, gang.falls_back) == (Priority.DAILY, None, False)


def test_a_gang_is_dated_by_when_its_task_asked(function: Function) -> None:
    world = function.world
    world.clock.advance(timedelta(minutes=7))
    launch_gang.answer_task(
        function.task(), world.launch_settings, world.clients, world.table, world.launcher, world.clock
    )
    [gang] = world.table.open_gangs()
    assert gang.launched_at == world.clock.now


def test_a_gang_that_waits_for_a_slot_is_not_counted(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    task = function.task()
    for name in ("a", "b"):
        gang = Gang(name, 1, Market.SPOT, "token", "arn", function.world.clock.now)
        assert function.world.allowances.take_slot(gang)
    assert function.handle(task)["outcome"] == "waiting for a slot"
    assert counted(capsys.readouterr().out) == []


@pytest.mark.parametrize("before", Market)
def test_a_gang_of_the_run_is_fenced_off_on_either_market(before: Market, function: Function) -> None:
    function.handle(replace(function.task(), market=before))
    [older] = gang_jobs(function.world)
    function.world.stop(function.execution)
    function.world.redrive(function.execution)
    assert function.handle(function.task()) == {
        "outcome": "submitted",
        "generation": 2,
        "fenced_off": [older["jobId"]],
    }
    assert (older["status"], older["statusReason"]) == ("FAILED", FENCED_OFF)


def test_an_analysis_of_the_same_rows_is_answered_with_where_it_lies(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    function.handle(function.task())
    function.publish()
    outputs: list[str] = []
    succeed = function.world.steps.send_task_success

    def keep_output(*, taskToken: str, output: str) -> None:  # noqa: N803  as the API names it
        outputs.append(output)
        succeed(taskToken=taskToken, output=output)

    monkeypatch.setattr(function.world.steps, "send_task_success", keep_output)
    task = function.task()
    [job] = gang_jobs(function.world)
    location = f"s3://results/{analysis_prefix(task.run_id)}{MANIFEST}"
    done = {"manifest": location, "generation": 1, "job_id": job["jobId"]}
    assert function.handle(task) == {"outcome": "analysed already", "awaited": True, **done}
    assert [json.loads(output) for output in outputs] == [done]
    assert function.execution.state == "Postprocess"
    assert function.world.table.newest_generation(task.run_id) == 1, "no gang was asked for"


@pytest.mark.parametrize("body", [None, b"not JSON", b"{}"], ids=["no manifest", "not JSON", "no analysis"])
def test_what_is_no_analysis_is_replaced_by_one(body: bytes | None, function: Function) -> None:
    function.handle(function.task())
    function.publish()
    task = function.task()
    at = ("results", f"{analysis_prefix(task.run_id)}{MANIFEST}")
    del function.world.s3.objects[at]
    if body is not None:
        function.world.s3.objects[at] = body
    assert function.handle(task)["generation"] == 2


def test_clean_rows_are_others_when_their_manifest_has_other_bytes(function: Function) -> None:
    function.handle(function.task())
    function.publish()
    task = function.task()
    at = ("intermediate", f"{preprocess_prefix(task.run_id)}{MANIFEST}")
    function.world.s3.objects[at] += b" "
    assert function.handle(task)["generation"] == 2


def test_a_clean_manifest_beyond_its_bound_is_refused_before_it_is_read(function: Function) -> None:
    task = function.task()
    at = ("intermediate", f"{preprocess_prefix(task.run_id)}{MANIFEST}")
    function.world.s3.objects[at] = b" " * (CleanManifest.MOST_BYTES + 1)
    with pytest.raises(DocumentError, match=f"s3://intermediate/{at[1]}"):
        function.handle(task)
    assert function.world.table.newest_generation(task.run_id) == 0


def test_an_event_that_is_no_task_is_named(function: Function) -> None:
    with pytest.raises(DocumentError, match=r"^the Task's payload: market: "):
        launch_gang.handler({**asdict(function.task()), "market": "MOON"}, cast("LambdaContext", CONTEXT))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InternalServerError(), f"InternalServerError: {InternalServerError()}"),
        (
            ConnectTimeoutError(endpoint_url="https://x"),
            'ConnectTimeoutError: Connect timeout on endpoint URL: "https://x"',
        ),
    ],
    ids=["AWS answered", "AWS did not"],
)
def test_an_outage_has_the_name_that_the_state_machine_retries(
    error: Exception, message: str, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> int:
        raise error

    monkeypatch.setattr(RunTable, "raise_generation", fail)
    with pytest.raises(launch_gang.LaunchUnfinished) as unfinished:
        function.handle(function.task())
    assert str(unfinished.value) == message
    assert unfinished.value.__cause__ is error


def test_the_log_names_run_market_and_answer(function: Function) -> None:
    task = function.task()
    answer = function.handle(task)
    [line] = function.lines()
    assert line["message"] == "answered"
    assert (line["run_id"], line["market"], line["function_request_id"]) == (task.run_id, "SPOT", "request")
    assert line.items() >= answer.items()
