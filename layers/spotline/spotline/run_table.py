"""The runs table: what is written down about runs and their gangs.

One table. A run's record is a cache of what DescribeExecution and DescribeJobs say; only the generation, which fences gangs
off, is true here first. Items of one run share a partition: `RUN#<run id>` with sort key `RUN`, `GANG#<generation>` and others.
Keys, indexes and what may be asked of them stand in docs/results.md.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from spotline.documents import DocumentError
from spotline.gangs import SUBMITTING, Gang
from spotline.runs import Market, Priority, Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from spotline.executions import Execution

OPEN_GANGS_INDEX = "open-gangs"
_YES = _OPEN = "yes"
FAILED_RUNS_INDEX = "failed-runs"
_FAILED = "yes"
UNSENT_PARTITION = "SLACK#UNSENT"
"""The partition of messages that wait for a summary (`notify`)."""
RUNS_OF_A_DAY_INDEX = "runs-of-a-day"

GAVE_WAY = "gave way"
"""The outcome of a gang that gave its slot to the day's work, and goes on as the run's next generation."""

GANG_KEPT = timedelta(days=90)
"""How long a closed gang's record stays: an execution can be redriven for 14 days, and then nobody asks for its gangs."""


class RunTable:
    """The table, behind functions named after what they mean."""

    def __init__(self, name: str, client: DynamoDBClient) -> None:
        self._name = name
        self._client = client

    def raise_generation(self, run_id: str, *, execution_arn: str) -> int:
        """Raise the run's generation by one, atomically, and return it: every older gang is fenced off from now on."""
        names, values, sets = _assignments({"execution_arn": execution_arn})
        answer = self._client.update_item(
            TableName=self._name,
            Key=_run_key(run_id),
            UpdateExpression=f"ADD generation :one SET {', '.join(sets)}",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":one": {"N": "1"}, **values},
            ReturnValues="UPDATED_NEW",
        )
        return int(answer["Attributes"]["generation"]["N"])

    def newest_generation(self, run_id: str) -> int:
        """The run's generation now; 0 before its first gang."""
        answer = self._client.get_item(TableName=self._name, Key=_run_key(run_id), ConsistentRead=True)
        return int(answer.get("Item", {}).get("generation", {"N": "0"})["N"])

    def note_execution(
        self, run_id: str, execution: Execution, failure: tuple[str, str] | None, seen_at: datetime
    ) -> None:
        """Write down how the run's execution stands: its status and times, what it is about, and the failure that ended it.

        `failure` is error and sentence. The attribute `failed_run`, which the index of failed runs goes by, is there only while the
        run stands as failed, timed out or stopped. A look that saw it earlier than what is noted already changes nothing, whichever
        writes last.
        """
        facts = {
            "execution_arn": execution.arn,
            "status": execution.status,
            "seen_at": seen_at.isoformat(),
            **_identity(execution),
            **({"failure": failure[0], "failure_sentence": failure[1], "failed_run": _FAILED} if failure else {}),
        }
        stale = {"failure", "failure_sentence", "failed_run", "stopped_at"} - facts.keys()
        names, values, sets = _assignments(facts)
        names |= {f"#{name}": name for name in stale}
        removed = f" REMOVE {', '.join(f'#{name}' for name in sorted(stale))}" if stale else ""
        try:
            self._client.update_item(
                TableName=self._name,
                Key=_run_key(run_id),
                UpdateExpression=f"SET {', '.join(sets)}{removed}",
                ConditionExpression="attribute_not_exists(#seen_at) OR #seen_at <= :seen_at",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return

    def record_gang(self, gang: Gang) -> None:
        """Record a gang before its job is submitted, so that no token is ever without a record.

        A generation belongs to one caller. So a record that is there already is the caller's own: the SDK repeated a write whose answer
        was lost. What others wrote into it meanwhile, a job or an end, stays.
        """
        try:
            self._client.put_item(
                TableName=self._name, Item=_item(gang), ConditionExpression="attribute_not_exists(pk)"
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return

    def claim_submission(self, gang: Gang, now: datetime) -> bool:
        """Claim the right to submit an open gang's job; False when it is closed, submitted, or being submitted by somebody else.

        SubmitJob has no token that would make it idempotent, so two who both see a gang without a job must not both submit it.
        A claim lapses after `SUBMITTING`, because its holder may have died. It bears a name of its own, so that a write whose answer
        was lost, and which the SDK therefore repeats, does not find its own claim in its way.
        """
        return self._update_gang(
            gang,
            "SET submitting_at = :now, submitting_by = :me",
            {
                ":now": {"S": now.isoformat()},
                ":lapsed": {"S": (now - SUBMITTING).isoformat()},
                ":me": {"S": str(uuid.uuid4())},
            },
            "attribute_exists(open_gang) AND attribute_not_exists(job_id)"
            " AND (attribute_not_exists(submitting_at) OR submitting_at <= :lapsed OR submitting_by = :me)",
        )

    def record_job(self, gang: Gang, job_id: str) -> bool:
        """Record the job that was submitted for a gang; False when the gang is closed, or has another job: it has but one."""
        return self._update_gang(
            gang,
            "SET job_id = :job",
            {":job": {"S": job_id}},
            "attribute_exists(open_gang) AND (attribute_not_exists(job_id) OR job_id = :job)",
        )

    def requeue_gang(self, gang: Gang, now: datetime) -> bool:
        """Let the gang wait for a slot again, as the run's next generation and behind the same token, in one write.

        False when it cannot: the gang is closed, or the run has a newer one. Whoever waits behind the token is looked after by the one
        record or by the other, at every moment.
        """
        new = replace(
            gang, generation=gang.generation + 1, requeued_at=now, job_id=None, submitting_at=None, hours_day=None
        )
        raised = {
            "TableName": self._name,
            "Key": _run_key(gang.run_id),
            "UpdateExpression": "SET generation = :new",
            "ConditionExpression": "generation = :old",
            "ExpressionAttributeValues": {
                ":new": {"N": str(new.generation)},
                ":old": {"N": str(gang.generation)},
            },
        }
        recorded = {
            "TableName": self._name,
            "Item": _item(new),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        try:
            self._client.transact_write_items(
                TransactItems=[
                    {"Update": raised},  # type: ignore[typeddict-item]
                    {"Put": recorded},  # type: ignore[typeddict-item]
                    {"Update": self._closing(gang, GAVE_WAY, now)},
                ]
            )
        except self._client.exceptions.TransactionCanceledException:
            return False
        return True

    def close_gang(self, gang: Gang, outcome: str) -> None:
        """Nothing is left to do about a gang: take it out of the index of open ones. The first outcome stands."""
        try:
            self._client.update_item(**self._closing(gang, outcome, datetime.now(UTC)))
        except self._client.exceptions.ConditionalCheckFailedException:
            return

    def _closing(self, gang: Gang, outcome: str, now: datetime) -> Any:
        return {
            "TableName": self._name,
            "Key": _gang_key(gang.run_id, gang.generation),
            "UpdateExpression": (
                "SET outcome = :outcome, closed_at = :now, expires_at = :later REMOVE open_gang, task_token"
            ),
            "ConditionExpression": "attribute_exists(open_gang)",
            "ExpressionAttributeValues": {
                ":outcome": {"S": outcome},
                ":now": {"S": now.isoformat()},
                ":later": {"N": str(int((now + GANG_KEPT).timestamp()))},
            },
        }

    def is_open(self, run_id: str, generation: int) -> bool:
        """Whether that gang is recorded and not closed, read consistently."""
        answer = self._client.get_item(TableName=self._name, Key=_gang_key(run_id, generation), ConsistentRead=True)
        return "open_gang" in answer.get("Item", {})

    def open_gangs(self, unreadable: list[str] | None = None) -> Iterator[Gang]:
        """Every gang that is not closed. The index lags behind the table by moments: a look is repeated anyway.

        A record that cannot be read, because somebody edited it, is noted in `unreadable` and left out; without that it is an error.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName=OPEN_GANGS_INDEX,
            KeyConditionExpression="open_gang = :open",
            ExpressionAttributeValues={":open": {"S": _OPEN}},
        )
        for item in (item for page in pages for item in page["Items"]):
            try:
                yield _gang(item)
            except DocumentError as error:
                if unreadable is None:
                    raise
                unreadable.append(str(error))

    def failed_runs(self, since: datetime) -> set[str]:
        """The runs that are recorded as failed, timed out or stopped, and ended after `since`. The index lags behind by moments."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName=FAILED_RUNS_INDEX,
            KeyConditionExpression="failed_run = :failed AND stopped_at > :since",
            ExpressionAttributeValues={":failed": {"S": _FAILED}, ":since": {"S": since.astimezone(UTC).isoformat()}},
            ProjectionExpression="run_id",
        )
        return {item["run_id"]["S"] for page in pages for item in page["Items"] if "run_id" in item}

    def has_unsent_messages(self) -> bool:
        """Whether messages wait for a summary. Asking costs the same however many there are."""
        answer = self._client.query(
            TableName=self._name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": UNSENT_PARTITION}},
            ConsistentRead=True,
            Limit=1,
        )
        return bool(answer["Items"])

    def gangs(self, run_id: str) -> list[Gang]:
        """The open gangs of one run, oldest first, read consistently; raises `DocumentError` for a record that cannot be read."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :gang)",
            FilterExpression="attribute_exists(open_gang)",
            ExpressionAttributeValues={":pk": _run_key(run_id)["pk"], ":gang": {"S": "GANG#"}},
            ConsistentRead=True,
        )
        return [_gang(item) for page in pages for item in page["Items"]]

    def _update_gang(self, gang: Gang, expression: str, values: Mapping[str, Any], condition: str) -> bool:
        try:
            self._client.update_item(
                TableName=self._name,
                Key=_gang_key(gang.run_id, gang.generation),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _identity(execution: Execution) -> dict[str, str]:
    """What the run is about, from its execution's input, and when it ran. An input that is none of ours tells nothing."""
    times = {"started_at": execution.started_at, "stopped_at": execution.stopped_at}
    told = {name: time.astimezone(UTC).isoformat() for name, time in times.items() if time is not None}
    try:
        run = Run.from_input(execution.input)
    except DocumentError:
        return told
    return {
        **told,
        "run_id": run.run_id,
        "run_day": run.day,
        "dataset": run.dataset,
        "day": run.day,
        "key": run.source.key,
        "version_id": run.source.version_id,
    }


def _assignments(attributes: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any], list[str]]:
    names = {f"#{name}": name for name in attributes}
    values = {f":{name}": {"S": value} for name, value in attributes.items()}
    return names, values, [f"#{name} = :{name}" for name in attributes]


def _run_key(run_id: str) -> dict[str, Any]:
    return {"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": "RUN"}}


def _gang_key(run_id: str, generation: int) -> dict[str, Any]:
    return {"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": f"GANG#{generation:04d}"}}


def _item(gang: Gang) -> dict[str, Any]:
    """A gang's record as it begins. What else comes into it is what happens to the gang."""
    return {
        **_gang_key(gang.run_id, gang.generation),
        "open_gang": {"S": _OPEN},
        "run_id": {"S": gang.run_id},
        "generation": {"N": str(gang.generation)},
        "market": {"S": gang.market.value},
        "priority": {"S": gang.priority.value},
        "task_token": {"S": gang.task_token},
        "execution_arn": {"S": gang.execution_arn},
        "launched_at": {"S": gang.launched_at.isoformat()},
        **({} if gang.redrives is None else {"redrives": {"N": str(gang.redrives)}}),
        **({"falls_back": {"S": _YES}} if gang.falls_back else {}),
        **({} if gang.requeued_at is None else {"requeued_at": {"S": gang.requeued_at.isoformat()}}),
    }


def _gang(item: Mapping[str, Any]) -> Gang:
    """Read a gang's record. One that an earlier version of this code wrote lacks what was added since."""
    try:
        return Gang(
            run_id=_text(item, "run_id"),
            generation=int(item["generation"]["N"]),
            market=Market(_text(item, "market")),
            task_token=_text(item, "task_token"),
            execution_arn=_text(item, "execution_arn"),
            launched_at=datetime.fromisoformat(_text(item, "launched_at")),
            submitting_at=_time(item, "submitting_at"),
            job_id=_text(item, "job_id") if "job_id" in item else None,
            priority=Priority(_text(item, "priority")) if "priority" in item else Priority.DAILY,
            redrives=int(item["redrives"]["N"]) if "redrives" in item else None,
            falls_back="falls_back" in item,
            requeued_at=_time(item, "requeued_at"),
            hours_day=_text(item, "hours_day") if "hours_day" in item else None,
        )
    except (KeyError, TypeError, ValueError) as cause:
        name = " ".join(str(item.get(key, {}).get("S")) for key in ("pk", "sk"))
        raise DocumentError(
            f"item {name}", f"not the record of a gang ({cause!r}); stop the run's execution, or repair the item"
        ) from cause


def _text(item: Mapping[str, Any], name: str) -> str:
    """An attribute that must be a string and not empty."""
    text = item[name]["S"]
    if not text:
        raise ValueError(f"{name} is empty")
    return str(text)


def _time(item: Mapping[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(_text(item, name)) if name in item else None
