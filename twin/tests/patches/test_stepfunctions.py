"""Each gap of moto's Step Functions that `twin.patches.stepfunctions` fills is still there, in stock moto."""

from __future__ import annotations

import copy
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from moto import mock_aws
from moto.stepfunctions import models
from moto.stepfunctions.parser import models as parser_models
from moto.stepfunctions.parser import utils
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import MaxAttemptsDecl
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_batch

from clouds.clients import client

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLE = "arn:aws:iam::123456789012:role/machine"
TASK = "arn:aws:states:::"


class Stock:
    """Step Functions as moto has it."""

    def __init__(self) -> None:
        self.client = client("stepfunctions")

    def start(self, machine: dict[str, Any]) -> str:
        made = self.client.create_state_machine(name="m", definition=json.dumps(machine), roleArn=ROLE)
        return str(self.client.start_execution(stateMachineArn=made["stateMachineArn"], name="e")["executionArn"])

    def after(self, execution: str, seconds: float) -> str:
        """The status when it has changed, or after `seconds`."""
        end = time.monotonic() + seconds
        while (status := str(self.client.describe_execution(executionArn=execution)["status"])) == "RUNNING":
            if time.monotonic() > end:
                break
            time.sleep(0.01)
        return status

    def until_event(self, execution: str, event_type: str) -> None:
        end = time.monotonic() + 5
        while event_type not in self.history(execution):
            assert time.monotonic() < end, self.history(execution)
            time.sleep(0.01)

    def history(self, execution: str) -> list[str]:
        events = self.client.get_execution_history(executionArn=execution)["events"]
        return [event["type"] for event in events]


@pytest.fixture
def stock() -> Iterator[Stock]:
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}):
        yield Stock()


def only(**state: Any) -> dict[str, Any]:
    return {"StartAt": "Only", "States": {"Only": {"End": True, **state}}}


def failing_task(**fields: Any) -> dict[str, Any]:
    parameters = {"Bucket": "no-such-bucket", "Key": "k"}
    return only(Type="Task", Resource=f"{TASK}aws-sdk:s3:getObject", Parameters=parameters, **fields)


def test_moto_has_another_backend_for_cloudformation_than_for_the_api() -> None:
    assert parser_models.stepfunctions_parser_backends is not models.stepfunctions_backends


def test_moto_cannot_redrive_and_so_forgets_where_an_execution_stood(stock: Stock) -> None:
    assert not hasattr(parser_models.StepFunctionsParserBackend, "redrive_execution")


def test_moto_drops_the_cause_that_a_worker_gives(stock: Stock) -> None:
    url = client("sqs").create_queue(QueueName="q")["QueueUrl"]
    parameters = {"QueueUrl": url, "MessageBody": {"token.$": "$$.Task.Token"}}
    execution = stock.start(
        only(Type="Task", Resource=f"{TASK}sqs:sendMessage.waitForTaskToken", Parameters=parameters)
    )
    stock.until_event(execution, "TaskSubmitted")
    (message,) = client("sqs").receive_message(QueueUrl=url)["Messages"]

    stock.client.send_task_failure(taskToken=json.loads(message["Body"])["token"], error="E", cause="why")

    assert stock.after(execution, 5) == "FAILED"
    assert "cause" not in stock.client.describe_execution(executionArn=execution)


def test_motos_tasks_do_not_call_with_the_machines_role(stock: Stock) -> None:
    execution = stock.start(only(Type="Task", Resource=f"{TASK}aws-sdk:sts:getCallerIdentity", Parameters={}))

    assert stock.after(execution, 5) == "SUCCEEDED"
    assert "role/machine" not in stock.client.describe_execution(executionArn=execution)["output"]


def test_motos_batch_tasks_drop_parameters_and_keep_the_apis_casing() -> None:
    taken = state_task_service_batch._SUPPORTED_API_PARAM_BINDINGS["submitjob"]
    answer = {"jobId": "j"}

    state_task_service_batch.StateTaskServiceBatch()._normalise_response(answer)

    assert not {"PropagateTags", "ShareIdentifier", "SchedulingPriorityOverride"} & taken
    assert answer == {"jobId": "j"}


def test_motos_timed_out_execution_has_no_end_in_its_history(stock: Stock) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 4, "MaxAttempts": 1}]
    execution = stock.start({**failing_task(Retry=retry), "TimeoutSeconds": 1})

    assert stock.after(execution, 3) == "TIMED_OUT"
    assert "ExecutionTimedOut" not in stock.history(execution)


def test_motos_stop_does_not_interrupt_a_token_wait(stock: Stock) -> None:
    url = client("sqs").create_queue(QueueName="q")["QueueUrl"]
    parameters = {"QueueUrl": url, "MessageBody": {"token.$": "$$.Task.Token"}}
    state = {"Type": "Task", "Resource": f"{TASK}sqs:sendMessage.waitForTaskToken", "Parameters": parameters}
    execution = stock.start(only(**state, TimeoutSeconds=3))
    stock.until_event(execution, "TaskSubmitted")

    stock.client.stop_execution(executionArn=execution)

    assert stock.after(execution, 1) == "RUNNING"


def test_motos_stop_does_not_interrupt_a_retrys_interval(stock: Stock) -> None:
    execution = stock.start(
        failing_task(Retry=[{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 3, "MaxAttempts": 1}])
    )
    stock.until_event(execution, "TaskFailed")

    stock.client.stop_execution(executionArn=execution)

    assert stock.after(execution, 1) == "RUNNING"


def test_motos_states_all_catches_what_is_terminal(stock: Stock) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    task = {"Type": "Task", "Resource": f"{TASK}aws-sdk:s3:getObject", "Parameters": {"Key.$": "$.absent"}}
    machine = {
        "StartAt": "Only",
        "States": {"Only": {**task, "Catch": catch, "End": True}, "Caught": {"Type": "Succeed"}},
    }

    assert stock.after(stock.start(machine), 5) == "SUCCEEDED"


def test_motos_waits_are_not_scaled(stock: Stock) -> None:
    began = time.monotonic()
    execution = stock.start(only(Type="Wait", Seconds=1))

    assert stock.after(execution, 5) == "SUCCEEDED"
    assert time.monotonic() - began >= 1


def test_motos_errors_cannot_be_named_as_step_functions_names_them() -> None:
    with pytest.raises(ValueError, match=r"MUST NOT begin with the prefix 'States.'"):
        CustomErrorName("States.TaskFailed")


def test_motos_components_take_a_random_number_for_a_name() -> None:
    component = MaxAttemptsDecl()
    shared = copy.copy(component)

    assert component.heap_key != shared.heap_key


def test_moto_keeps_every_thread_it_started(stock: Stock) -> None:
    before = len(utils.TMP_THREADS)

    assert stock.after(stock.start(only(Type="Pass")), 5) == "SUCCEEDED"

    assert len(utils.TMP_THREADS) > before
