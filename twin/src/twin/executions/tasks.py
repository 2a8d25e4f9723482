"""Task states: calls of AWS services as the state machine's own role, and what they wait for.

Three kinds of integration are modelled: `aws-sdk` (any API action), `lambda:invoke` and `batch:submitJob`, with
`.waitForTaskToken` and `.sync` where Step Functions has them. moto's components do the parsing, the parameters and the
history; these subclasses make the calls and the waits.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails, TaskTimedOutEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.state.exec.state_task.lambda_eval_utils import LambdaFunctionErrorException
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_batch import (
    StateTaskServiceBatch,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (
    StateTaskServiceLambda,
)
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackOutcomeFailure,
    CallbackOutcomeFailureError,
    HeartbeatTimeoutError,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped

from twin.events.clients import client_of_role
from twin.executions import casing, errors, jobs, services
from twin.executions.shared import shared
from twin.executions.tokens import Callback, Failure

if TYPE_CHECKING:
    from botocore.model import OperationModel

    from twin.executions.environment import TwinEnvironment

Json = Any

_logger = logging.getLogger(__name__)

# Job changes wake a Task; looking besides, less and less often, covers a job that ends without a word.
_LOOK_AGAIN_SECONDS = 2.0
_LONGEST_LOOK_AGAIN_SECONDS = 60.0
_TERMINATED = "Terminated by AWS Step Functions because the execution was aborted"


class _TwinTask(StateTaskServiceCallback):
    """What all three kinds have in common."""

    error_prefix: ClassVar[str] = ""
    error_base: ClassVar[str] = ""

    def _eval_body(self, env: TwinEnvironment) -> None:
        # moto makes one token for all attempts of a Task; here each attempt makes its own.
        super(StateTaskServiceCallback, self)._eval_body(env)

    def _eval_execution(self, env: TwinEnvironment) -> None:
        if self.resource.condition != ResourceCondition.WaitForTaskToken:
            super()._eval_execution(env)
            return
        env.callback = shared.tokens.issue()
        env.states.context_object.context_object_data["Task"] = {"Token": env.callback.token}
        try:
            super()._eval_execution(env)
        finally:
            shared.tokens.close(env.callback)

    def _normalise_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: names are changed where the call is made, so that mocked Tasks see the definition's own."""

    def _normalise_response(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: see `_normalise_parameters`."""

    def _operation(self, client: Any) -> OperationModel:
        return services.operation(client.meta.service_model, self.resource.api_action)

    def _client(self, state_credentials: Any) -> Any:
        return client_of_role(services.botocore_name(self.resource.api_name), state_credentials.role_arn)

    def _eval_service_task(
        self, env: TwinEnvironment, *, normalised_parameters: dict[str, Json], state_credentials: Any, **_: Any
    ) -> None:
        client = self._client(state_credentials)
        operation = self._operation(client)
        answer = services.call(client, operation, casing.request(normalised_parameters, operation.input_shape))
        env.stack.append(self._result(casing.response(answer, operation.output_shape)))

    def _result(self, answer: dict[str, Json]) -> dict[str, Json]:
        return answer

    def _eval_integration_pattern(self, env: TwinEnvironment, *, state_credentials: Any, **_: Any) -> None:
        output = env.stack.pop()
        if env.callback is not None:
            env.stack.append(self._await_answer(env, env.callback))
        else:
            env.stack.append(self._await_job(env, output["JobId"], self._client(state_credentials)))

    def _await_answer(self, env: TwinEnvironment, callback: Callback) -> Json:
        with env.waking(callback.woken):
            while env.is_running() and callback.answer is None:
                heard = callback.woken.wait(self._heartbeat_seconds(env))
                callback.woken.clear()
                if not heard and callback.answer is None:
                    raise HeartbeatTimeoutError
        if isinstance(callback.answer, Failure):
            raise CallbackOutcomeFailureError(
                CallbackOutcomeFailure(callback.token, callback.answer.error, callback.answer.cause)
            )
        return callback.answer.output if callback.answer else None

    def _heartbeat_seconds(self, env: TwinEnvironment) -> float | None:
        if not self.heartbeat:
            return None
        self.heartbeat.eval(env=env)
        return shared.clock.real(env.stack.pop())

    def _await_job(self, env: TwinEnvironment, job_id: str, client: Any) -> Json:
        """Wait for a Batch job; it is terminated when the execution is stopped or a sibling branch fails.

        The Task's own timeout leaves the job alone: no document says that it is terminated then ("Run a job (.sync)"
        names aborts only), so nothing may rely on it.
        """
        shape = client.meta.service_model.operation_model("DescribeJobs").output_shape.members["jobs"].member
        pause = _LOOK_AGAIN_SECONDS
        with jobs.watching(job_id) as changed, env.waking(changed):
            while env.is_running():
                job = self._look(client, job_id)
                if job is not None and job["status"] in jobs.ENDED:
                    return self._outcome(env, job["status"], casing.response(job, shape))
                if not changed.wait(pause):
                    pause = min(pause * 2, _LONGEST_LOOK_AGAIN_SECONDS)
                changed.clear()
        if isinstance(env.program_state(), ProgramStopped):
            self._terminate(client, job_id)
        return None

    @staticmethod
    def _look(client: Any, job_id: str) -> Json | None:
        """The job now; None when Batch does not say, which only a missing permission makes an error of."""
        try:
            found = client.describe_jobs(jobs=[job_id])["jobs"]
        except ClientError as error:
            if error.response["Error"].get("Code", "").startswith("AccessDenied"):
                raise
            return None
        return found[0] if found else None

    def _outcome(self, env: TwinEnvironment, status: str, job: Json) -> Json:
        if status == "SUCCEEDED":
            return job
        raise FailureEventException(self._failed(env, "States.TaskFailed", json.dumps(job, separators=(",", ":"))))

    @staticmethod
    def _terminate(client: Any, job_id: str) -> None:
        try:
            client.terminate_job(jobId=job_id, reason=_TERMINATED)
        except ClientError as error:
            # AWS tries its best, no more ("Run a job (.sync)").
            _logger.warning("job %s of a stopped execution could not be terminated: %s", job_id, error)

    def _from_error(self, env: TwinEnvironment, ex: Exception) -> FailureEvent:
        if isinstance(ex, ClientError):
            return self._from_client_error(env, ex)
        if isinstance(ex, BotoCoreError):
            prefix = self.error_prefix or errors.java_name(services.service_id(self.resource.api_name))
            return self._failed(env, f"{prefix}.SdkClientException", str(ex))
        if isinstance(ex, HeartbeatTimeoutError):
            return self._heartbeat_missed(env)
        if isinstance(ex, LambdaFunctionErrorException):
            return self._failed(env, _error_type(ex.payload), ex.payload)
        return super()._from_error(env=env, ex=ex)

    def _from_client_error(self, env: TwinEnvironment, error: ClientError) -> FailureEvent:
        model = services.service_model(self.resource.api_name)
        code = error.response["Error"].get("Code", "Unknown")
        name = errors.sdk_error(model, error.operation_name, code, self.error_prefix, self.error_base)
        about = error.response.get("ResponseMetadata", {})
        cause = (
            f"{error.response['Error'].get('Message', '')} (Service: {errors.java_name(model.service_id)}, "
            f"Status Code: {about.get('HTTPStatusCode')}, Error Code: {code}, Request ID: {about.get('RequestId')})"
        )
        return self._failed(env, name, cause)

    def _failed(self, env: TwinEnvironment, error: str, cause: str) -> FailureEvent:
        return FailureEvent(
            env=env,
            error_name=CustomErrorName(error),
            event_type=HistoryEventType.TaskFailed,
            event_details=EventDetails(
                taskFailedEventDetails=TaskFailedEventDetails(
                    resource=self._get_sfn_resource(),
                    resourceType=self._get_sfn_resource_type(),
                    error=error,
                    cause=cause,
                )
            ),
        )

    def _heartbeat_missed(self, env: TwinEnvironment) -> FailureEvent:
        return FailureEvent(
            env=env,
            error_name=CustomErrorName("States.HeartbeatTimeout"),
            event_type=HistoryEventType.TaskTimedOut,
            event_details=EventDetails(
                taskTimedOutEventDetails=TaskTimedOutEventDetails(
                    resource=self._get_sfn_resource(),
                    resourceType=self._get_sfn_resource_type(),
                    error="States.HeartbeatTimeout",
                )
            ),
        )


class SdkTask(_TwinTask, StateTaskServiceAwsSdk):
    """`aws-sdk:<service>:<action>`."""


class LambdaTask(_TwinTask, StateTaskServiceLambda):
    """`lambda:invoke`, which fails with the function's own error and parses its answer."""

    error_base = "AWSLambdaException"

    def _get_supported_parameters(self) -> set[str]:
        return set(services.LAMBDA_PARAMETERS)

    def _eval_service_task(
        self, env: TwinEnvironment, *, normalised_parameters: dict[str, Json], state_credentials: Any, **_: Any
    ) -> None:
        super()._eval_service_task(
            env, normalised_parameters=normalised_parameters, state_credentials=state_credentials
        )
        if env.stack[-1].get("FunctionError"):
            answer = env.stack.pop()
            raise LambdaFunctionErrorException(
                answer["FunctionError"], json.dumps(answer["Payload"], separators=(",", ":"))
            )

    def _result(self, answer: dict[str, Json]) -> dict[str, Json]:
        try:
            payload = json.loads(answer.get("Payload", ""))
        except json.JSONDecodeError:
            payload = answer.get("Payload")
        return {**answer, "Payload": payload}


class BatchTask(_TwinTask, StateTaskServiceBatch):
    """`batch:submitJob`."""

    error_prefix = "Batch"
    error_base = "AWSBatchException"

    def _get_supported_parameters(self) -> set[str]:
        return set(services.BATCH_PARAMETERS)


def task_for(service_name: str) -> _TwinTask:
    """The Task component of the resource ``arn:aws:states:::<service_name>:…``."""
    kinds: dict[str, type[_TwinTask]] = {"aws-sdk": SdkTask, "lambda": LambdaTask, "batch": BatchTask}
    if service_name not in kinds:
        raise ValueError(f"the twin has no optimised integration with {service_name}; use aws-sdk:{service_name}:…")
    return kinds[service_name]()


def _error_type(payload: str) -> str:
    """The error's name in a function's error payload; one that died without a word has none."""
    try:
        return str(json.loads(payload)["errorType"])
    except (ValueError, KeyError, TypeError):
        return "Lambda.Unknown"
