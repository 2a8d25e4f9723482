"""Step Functions' API actions, where moto's answers lack something or the action itself."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions.responses import StepFunctionResponse

Json = Any

_HISTORY_PAGE = 100
_LONGEST_HISTORY_PAGE = 1000


class TwinStepFunctionsResponse(StepFunctionResponse):
    """moto's actions, with redrives, and with every field of an execution and a page of its history."""

    def describe_execution(self) -> ActionResult:
        """With how often it was redriven and whether it can be again."""
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        return ActionResult(execution.describe())

    def describe_state_machine_for_execution(self) -> ActionResult:
        """The machine as it was when the execution began, which is what a redrive runs."""
        machine = self.stepfunction_backend.describe_execution(self._get_param("executionArn")).state_machine
        return ActionResult(
            {
                "stateMachineArn": machine.arn,
                "name": machine.name,
                "definition": machine.definition,
                "roleArn": machine.roleArn,
                "updateDate": machine.update_date,
                "loggingConfiguration": machine.loggingConfiguration,
                "tracingConfiguration": machine.tracingConfiguration,
            }
        )

    def list_executions(self) -> ActionResult:
        """By status and by redrive, newest first."""
        arn = self._get_param("stateMachineArn")
        executions, next_token = self.stepfunction_backend.list_executions(
            arn,
            status_filter=self._get_param("statusFilter"),
            max_results=self._get_int_param("maxResults"),
            next_token=self._get_param("nextToken"),
        )
        redrives = self._get_param("redriveFilter")
        items = [_list_item(e.describe()) for e in executions if _passes(redrives, e.redrive_count)]
        return ActionResult({"executions": items, "nextToken": next_token})

    def stop_execution(self) -> ActionResult:
        """With the error and cause that the caller gives."""
        execution = self.stepfunction_backend.stop_execution(
            self._get_param("executionArn"), self._get_param("error"), self._get_param("cause")
        )
        return ActionResult({"stopDate": execution.stop_date})

    def redrive_execution(self) -> ActionResult:
        """The action that moto lacks."""
        return ActionResult(
            {"redriveDate": self.stepfunction_backend.redrive_execution(self._get_param("executionArn"))}
        )

    def get_execution_history(self) -> ActionResult:
        """In pages, and backwards on demand."""
        history = self.stepfunction_backend.get_execution_history(self._get_param("executionArn"))["events"]
        if self._get_param("reverseOrder"):
            history = history[::-1]
        start = int(self._get_param("nextToken") or 0)
        size = min(self._get_int_param("maxResults") or _HISTORY_PAGE, _LONGEST_HISTORY_PAGE)
        page: dict[str, Json] = {"events": history[start : start + size]}
        if start + size < len(history):
            page["nextToken"] = str(start + size)
        return ActionResult(page)

    def send_task_failure(self) -> ActionResult:
        """With its cause."""
        self.stepfunction_backend.send_task_failure(
            self._get_param("taskToken"), self._get_param("error"), self._get_param("cause")
        )
        return EmptyResult()


def _passes(redrive_filter: str | None, redrive_count: int) -> bool:
    return redrive_filter is None or (redrive_filter == "REDRIVEN") == (redrive_count > 0)


def _list_item(description: dict[str, Json]) -> dict[str, Json]:
    names = (
        "executionArn",
        "stateMachineArn",
        "name",
        "status",
        "startDate",
        "stopDate",
        "redriveCount",
        "redriveDate",
    )
    return {name: description[name] for name in names if name in description}
