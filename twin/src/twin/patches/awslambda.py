"""Patches to moto's Lambda (5.2.5): what it lacks to run the functions that it stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import EventInvokeConfig, LambdaBackend, LambdaFunction, LambdaStorage
from moto.awslambda.responses import LambdaResponse

from twin.patches import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    Invoke = Callable[[LambdaResponse], tuple[int, dict[str, str], bytes]]
    InvokeInProcess = Callable[[LambdaFunction, str, dict[str, str]], bytes]
    MayAssume = Callable[[str, str], bool]


REQUEST_ID = "x-amzn-requestid"
"""The header that names a request."""


RESERVED_VARIABLES = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
"""Variables that a function cannot set. Source: "Defined runtime environment variables" (Lambda developer guide)."""


def install(invoke: Invoke, invoke_in_process: InvokeInProcess, may_assume: MayAssume) -> None:
    """Apply every patch.

    Parameters
    ----------
    invoke
        Answers an Invoke that has come in over HTTP.
    invoke_in_process
        Runs a function with a payload for another of moto's services, and reports an error in the headers it is given.
    may_assume
        Whether a role trusts Lambda to run a function, both by ARN.
    """
    replace(LambdaStorage, "put_function", lambda original: _check_the_roles_trust(original, may_assume))
    replace(LambdaFunction, "__init__", _keep_configuration_at_creation)
    replace(LambdaFunction, "update_configuration", _keep_configuration_at_update)
    replace(LambdaFunction, "get_configuration", _show_configuration)
    replace(LambdaFunction, "invoke", lambda _: _run_for_other_services(invoke_in_process))
    replace(LambdaResponse, "invoke", lambda _: _run_for_clients(invoke))
    replace(LambdaResponse, "_enrich_response", _keep_request_id)
    replace(LambdaBackend, "put_function_event_invoke_config", _replace_event_invoke_config)


def _check_the_roles_trust(original: Callable[..., None], may_assume: MayAssume) -> Callable[..., None]:
    """moto creates a function whose role does not trust Lambda; Lambda refuses it in these words."""

    def put_function(self: LambdaStorage, fn: LambdaFunction) -> None:
        original(self, fn)
        if not may_assume(fn.role, fn.function_arn):
            self.del_function(fn.function_name)
            raise InvalidParameterValueException("The role defined for the function cannot be assumed by Lambda.")

    return put_function


def _keep_configuration_at_creation(original: Callable[..., None]) -> Callable[..., None]:
    """Moto forgets DeadLetterConfig and LoggingConfig at CreateFunction, and takes variables that Lambda keeps to itself.

    Failed events and logs would go elsewhere; a template that sets AWS_REGION would deploy here and not on AWS.
    """

    def init(self: Any, account_id: str, spec: dict[str, Any], *arguments: Any, **keywords: Any) -> None:
        _refuse_reserved_variables(spec)
        original(self, account_id, spec, *arguments, **keywords)
        self.dead_letter_config = self.logging_config = {}
        _keep(self, spec)

    return init


def _keep_configuration_at_update(original: Callable[..., Any]) -> Callable[..., Any]:
    """Moto does so at UpdateFunctionConfiguration, too."""

    def update_configuration(self: Any, config_updates: dict[str, Any]) -> Any:
        _refuse_reserved_variables(config_updates)
        _keep(self, config_updates)
        return original(self, config_updates)

    return update_configuration


def _show_configuration(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Moto's GetFunctionConfiguration names neither DeadLetterConfig nor LoggingConfig."""

    def get_configuration(self: Any, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        configuration = original(self, *arguments, **keywords)
        configuration["LoggingConfig"] = {"LogFormat": "Text", "LogGroup": self.logs_group_name, **self.logging_config}
        if self.dead_letter_config:
            configuration["DeadLetterConfig"] = self.dead_letter_config
        return configuration

    return get_configuration


def _run_for_other_services(invoke_in_process: InvokeInProcess) -> Callable[..., bytes]:
    """Moto's SNS, SQS and Logs invoke functions inside the process; moto would start Docker for it."""

    def invoke(self: LambdaFunction, body: str, _request_headers: Any, response_headers: dict[str, str]) -> bytes:
        return invoke_in_process(self, body, response_headers)

    return invoke


def _run_for_clients(answer: Invoke) -> Invoke:
    """Moto needs Docker to run a function, waits for Event invocations and runs DryRun ones, calls errors "Handled"."""

    def invoke(self: LambdaResponse) -> tuple[int, dict[str, str], bytes]:
        return answer(self)

    return invoke


def _keep_request_id(original: Callable[..., Any]) -> Any:
    """moto makes up the id of every request; an invocation's is the one that its context and log name."""

    def enrich(headers: dict[str, str], body: Any) -> tuple[dict[str, str], Any]:
        request_id = headers.get(REQUEST_ID)
        headers, body = original(headers, body)
        return {**headers, REQUEST_ID: request_id or headers[REQUEST_ID]}, body

    return staticmethod(enrich)


def _replace_event_invoke_config(_: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Moto keeps every EventInvokeConfig that was ever put and answers with the first; there is one, the last put."""

    def put(self: LambdaBackend, function_name: str, config: dict[str, Any]) -> dict[str, Any]:
        function = self.get_function(function_name)
        settings = EventInvokeConfig(function.function_arn, function.last_modified, config)
        function.event_invoke_config = [settings]
        return settings.response()

    return put


def _refuse_reserved_variables(configuration: dict[str, Any]) -> None:
    used = sorted(RESERVED_VARIABLES.intersection((configuration.get("Environment") or {}).get("Variables") or {}))
    if used:
        raise InvalidParameterValueException(
            "Lambda was unable to configure your environment variables because the environment variables you have provided "
            "contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(used)}"
        )


def _keep(function: Any, configuration: dict[str, Any]) -> None:
    function.dead_letter_config = configuration.get("DeadLetterConfig") or function.dead_letter_config
    function.logging_config = configuration.get("LoggingConfig") or function.logging_config
    function.logs_group_name = function.logging_config.get("LogGroup") or function.logs_group_name
