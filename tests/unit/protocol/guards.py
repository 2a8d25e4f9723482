"""The guards of the protocol, each as it is taken out: what an invariant rests on, so that a test can show that it does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import looking
from analysis import checkpoints
from announce import claims, table
from announce.summaries import SummaryTable
from announce.table import TableClaims
from handing_out import Handout
from postprocess.table import ResultTable
from spotline import gangs, starting
from spotline.allowances import Allowances
from spotline.executions import Execution, describe_run
from spotline.launching import Launcher
from spotline.objects import ALWAYS, S3Objects
from spotline.run_table import RunTable
from spotline.runs import execution_arn
from spotline.strays import RunSight
from sweeping import work

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


@dataclass(frozen=True)
class Guard:
    """A guard, the invariant (or the rule beside them) that it keeps, and how it is taken out."""

    keeps: str
    take_out: Callable[[pytest.MonkeyPatch], None]


def _one_name_for_a_version(patch: pytest.MonkeyPatch) -> None:
    names = count()
    patch.setattr(starting, "run_id", lambda _source, _key: f"run-{next(names)}")


def _unconditional_writes_of_leaders(patch: pytest.MonkeyPatch) -> None:
    write = S3Objects.write
    patch.setattr(S3Objects, "write", lambda *args, **more: write(*args, **{**more, "if_etag": ALWAYS}))


def _unconditional_metrics(patch: pytest.MonkeyPatch) -> None:
    write = ResultTable._write

    def unconditionally(table: ResultTable, items: Any) -> bool:
        for item in items:
            for arguments in item.values():
                arguments.pop("ConditionExpression", None)
        return write(table, items)

    patch.setattr(ResultTable, "_write", unconditionally)


class _Unconditional:
    """A DynamoDB client that forgets the conditions of its puts."""

    def __init__(self, client: Any) -> None:
        self._client, self.exceptions = client, client.exceptions

    def put_item(self, **arguments: Any) -> None:
        arguments.pop("ConditionExpression")
        self._client.put_item(**arguments)


def _unconditional_message_claims(patch: pytest.MonkeyPatch) -> None:
    write = TableClaims.write

    def unconditionally(table: TableClaims, key: Any, claim: claims.Claim) -> None:
        write(TableClaims(table._table, cast("Any", _Unconditional(table._client))), key, claim)

    patch.setattr(TableClaims, "write", unconditionally)


def _handed_over_in_two_writes(patch: pytest.MonkeyPatch) -> None:
    def hand_over(claimed: TableClaims, key: Any, claim: claims.Claim, said: Any) -> None:
        claimed._client.put_item(TableName="runs", Item=table._unsent_item(key, said, 0))
        claimed.write(key, claim)

    patch.setattr(TableClaims, "hand_over", hand_over)


def _summaries_side_by_side(patch: pytest.MonkeyPatch) -> None:
    begin = SummaryTable.begin

    def unconditionally(summaries: SummaryTable, last: Any, members: frozenset[str]) -> Any:
        return begin(SummaryTable("runs", cast("Any", _Unconditional(summaries._client))), last, members)

    patch.setattr(SummaryTable, "begin", unconditionally)


def _closed_without_an_answer(patch: pytest.MonkeyPatch) -> None:
    end = gangs._end
    patch.setattr(gangs, "_end", lambda *how: [one for one in end(*how) if not isinstance(one, gangs.Fail)])


def _execution_first(look: Any, run_id: str) -> RunSight:
    execution = describe_run(look._clients.steps, execution_arn(look._settings.state_machine_arn, run_id))
    moment = look._now()
    return RunSight(execution, look._table.newest_generation(run_id), look._table.gangs(run_id), moment)


def _undated_descriptions(patch: pytest.MonkeyPatch) -> None:
    find = Execution.find_standing
    patch.setattr(Execution, "find_standing", lambda execution, began, _, now: find(execution, began, None, now))


def _patched(owner: Any, name: str, value: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(owner, name, value)


GUARDS = {
    "a version's one name": Guard("3", _one_name_for_a_version),
    "the sweep": Guard("3", _patched(work, "find_missed", lambda *_: lambda _landed: None)),
    "metrics' source order": Guard("4", _unconditional_metrics),
    "a message's claim": Guard("7", _unconditional_message_claims),
    "a message's bound": Guard("7", _patched(claims, "MOST_UNCONFIRMED", 99)),
    "a message is handed over in one write": Guard("7", _handed_over_in_two_writes),
    "summaries begin one after the other": Guard("7", _summaries_side_by_side),
    "a closed gang's token is answered": Guard("8", _closed_without_an_answer),
    "records are read before the execution": Guard("8", _patched(looking.Look, "_read_run", _execution_first)),
    "descriptions are dated by their redrives": Guard("8", _undated_descriptions),
    "a generation is raised": Guard("8, 12", _patched(RunTable, "raise_generation", lambda *_, **__: 1)),
    "strays are ended": Guard("11", _patched(looking, "find_strays", lambda _jobs, _run: [])),
    "a look after the submission": Guard("11", _patched(Launcher, "_why_useless", lambda _self, _gang: None)),
    "leaders' conditional writes": Guard("12", _unconditional_writes_of_leaders),
    "an analysis is published once": Guard(
        "12", _patched(checkpoints, "_read_analysis", lambda _manifest, _digest: None)
    ),
    "a job is found by its name": Guard(
        "one job", _patched(looking, "job_of_gang", lambda _client, _gang, _queue: None)
    ),
    "a submission is claimed": Guard("one job", _patched(RunTable, "claim_submission", lambda *_: True)),
    "slots": Guard("slots", _patched(Allowances, "take_slot", lambda _self, _gang: True)),
    "the sweep of slots": Guard("slots", _patched(Handout, "take_back", lambda *_: None)),
    "hours are reserved": Guard("hours", _patched(Allowances, "reserve_hours", lambda _self, _gang, _now: True)),
    "unused hours are given back": Guard(
        "hours", _patched(Allowances, "settle_hours", lambda _self, _gang, _used: None)
    ),
}
