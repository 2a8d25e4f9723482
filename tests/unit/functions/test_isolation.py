"""One run's data, or one dataset's, can only harm that one: the others are looked after, answered and started all the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from spotline.layout import MANIFEST, analysis_prefix, notice_prefix
from spotline.objects import S3Objects
from tests.poison import POISONS
from tests.unit.protocol.world import World


class TwoGangs:
    """Two runs whose gangs have started: one of them, `bad`, gets the poison."""

    def __init__(self) -> None:
        self.world = World(spot_max_gangs=2)
        for version in ("v1", "v2"):
            self.world.land(version)
        for job in self.world.batch.unfinished():
            self.world.finish_job(job["jobId"])
        self.world.tell_steps()
        for task in list(self.world.launches):
            self.world.launch(task)
        self.jobs = {job["tags"]["spotline:run-id"]: job["jobId"] for job in self.world.batch.unfinished()}
        for job_id in self.jobs.values():
            self.world.start_job(job_id)
        # Whatever order they are looked at in, the one that is poisoned comes first.
        self.bad, self.good = sorted(self.jobs)

    def end_both(self, status: str) -> None:
        for job_id in self.jobs.values():
            if status == "SUCCEEDED":
                self.world.publish(job_id)
            self.world.batch.end(
                job_id, status, reason="Essential container in task exited", code=0 if status == "SUCCEEDED" else 1
            )

    def outcome(self, run_id: str) -> str | None:
        """How the run's first gang was closed; None while it is open."""
        found: str | None = self.world.dynamodb.items[f"RUN#{run_id}", "GANG#0001"].get("outcome")
        return found

    def look(self) -> list[str]:
        self.world.clock.advance(timedelta(minutes=2))
        return self.world.look.again().failed

    def put(self, key: str, body: bytes) -> None:
        self.world.s3.objects["results", analysis_prefix(self.bad) + key] = body


@pytest.fixture
def gangs() -> TwoGangs:
    return TwoGangs()


@pytest.mark.parametrize("body", POISONS.values(), ids=list(POISONS))
def test_a_notice_that_cannot_be_read_does_not_count(gangs: TwoGangs, body: bytes) -> None:
    gangs.put(f"{notice_prefix(gangs.jobs[gangs.bad])}0001.json", body)
    gangs.end_both("FAILED")
    assert gangs.look() == []
    assert {gangs.outcome(run) for run in gangs.jobs} == {"Job.Failed"}


@pytest.mark.parametrize("name", ["junk.json", "0001.json.bak", "-1.json", f"{'9' * 400}.json", "", "\u0661.json"])
def test_a_notice_of_no_member_does_not_count(gangs: TwoGangs, name: str) -> None:
    gangs.put(f"{notice_prefix(gangs.jobs[gangs.bad])}{name}", b'{"kind": "spot"}')
    gangs.end_both("FAILED")
    assert gangs.look() == []
    assert {gangs.outcome(run) for run in gangs.jobs} == {"Job.Failed"}


@pytest.mark.parametrize("body", POISONS.values(), ids=list(POISONS))
def test_a_manifest_that_cannot_be_read_fails_its_own_gang_and_is_named(gangs: TwoGangs, body: bytes) -> None:
    gangs.end_both("SUCCEEDED")
    gangs.put(MANIFEST, body)
    assert gangs.look() == []
    assert (gangs.outcome(gangs.bad), gangs.outcome(gangs.good)) == ("Job.Failed", "SUCCEEDED")
    assert f"s3://results/{analysis_prefix(gangs.bad)}{MANIFEST}" in gangs.world.steps.executions[gangs.bad].cause


@pytest.mark.parametrize("field", ["input", "cause"])
@pytest.mark.parametrize("body", [*POISONS.values(), b'{"a": "\xed\xa0\x80"}'], ids=[*POISONS, "a raw surrogate"])
def test_an_execution_of_somebody_else_s_keeps_nobody_from_the_others(
    gangs: TwoGangs, field: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a failed run whose execution says what no function of ours writes
    poison_execution(
        gangs,
        monkeypatch,
        {"status": "FAILED", field: decode(body)},
    )
    gangs.end_both("FAILED")
    # When there is a look, then the other's gang is answered, and both records are written
    assert gangs.look() == []
    assert gangs.outcome(gangs.good) == "Job.Failed"
    assert gangs.world.dynamodb.items[f"RUN#{gangs.bad}", "RUN"]["status"] == "FAILED"


def decode(body: bytes) -> str:
    """A text as boto3 may answer it: JSON's escapes can bring it half a surrogate pair."""
    try:
        return body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return body.decode("utf-8", "surrogateescape")


def poison_execution(gangs: TwoGangs, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    describe = gangs.world.steps.describe_execution

    def poisoned(**arguments: Any) -> Any:
        answer = describe(**arguments)
        return answer | changes if arguments["executionArn"].endswith(gangs.bad) else answer

    monkeypatch.setattr(gangs.world.steps, "describe_execution", poisoned)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("launched_at", "yesterday"), ("market", "BLACK"), ("priority", "none"), ("task_token", "")],
)
def test_a_record_that_somebody_edited_is_named_and_keeps_nobody_from_the_others(
    gangs: TwoGangs, attribute: str, value: str
) -> None:
    gangs.world.dynamodb.items[f"RUN#{gangs.bad}", "GANG#0001"][attribute] = value
    gangs.end_both("FAILED")
    failed = gangs.look()
    assert gangs.outcome(gangs.good) == "Job.Failed"
    assert failed
    assert all(gangs.bad in line and "GANG#0001" in line for line in failed), failed


@pytest.mark.parametrize("holder", ["junk", "#", "run#x", f"run#{'9' * 5000}", "run#-1", "\u0000#1"])
def test_a_slot_s_holder_that_no_gang_is_called_is_freed(gangs: TwoGangs, holder: str) -> None:
    gangs.world.dynamodb.items["SLOTS", "SPOT"]["holders"] |= {holder}
    assert gangs.look() == []
    assert holder not in gangs.world.dynamodb.items["SLOTS", "SPOT"]["holders"]


@pytest.mark.parametrize(
    "tags",
    [
        {"spotline:generation": "x"},
        {"spotline:generation": "9" * 5000},
        {"spotline:stage": "dance"},
        {"spotline:run-id": ""},
        {"spotline:execution-arn": "arn"},
    ],
)
def test_a_job_with_tags_of_somebody_else_s_keeps_nobody_from_the_others(gangs: TwoGangs, tags: dict[str, str]) -> None:
    gangs.world.batch.jobs[gangs.jobs[gangs.bad]]["tags"] |= tags
    gangs.world.batch.end(gangs.jobs[gangs.good], "FAILED", code=1)
    gangs.look()
    assert gangs.outcome(gangs.good) == "Job.Failed"


def test_a_fault_of_the_program_that_one_run_brings_to_light_is_named_and_logged(
    gangs: TwoGangs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given data that makes the code fail in a way that nobody has thought of
    read = S3Objects.keys

    def failing(objects: S3Objects, prefix: str = "") -> Any:
        if gangs.bad in objects.location():
            raise ZeroDivisionError("nobody thought of this")
        return read(objects, prefix)

    monkeypatch.setattr(S3Objects, "keys", failing)
    gangs.end_both("FAILED")
    # When there is a look, then it fails for that run only, by name, and the log has the traceback
    assert gangs.look() == [f"{gangs.bad}: ZeroDivisionError: nobody thought of this"]
    assert gangs.outcome(gangs.good) == "Job.Failed"
    [logged] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert logged.exc_info is not None
    assert vars(logged)["failed"] == gangs.bad
