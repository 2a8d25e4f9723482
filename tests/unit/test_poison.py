"""Every reader of something from outside x every poison: it is named and refused by a typed error, or read as "none of ours"."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest

import ingest
from analysis.checkpoints import SCHEMA as POINTER_SCHEMA
from analysis.checkpoints import Checkpoint, Pointer
from analysis.membership import find_leader
from analysis.outcomes import AnalysisError
from announce.diagnosis import Ending, diagnose
from announce.executions import _is_superseded
from announce.loglines import last_word, readable
from announce.outcomes import UnknownRequest
from announce.outcomes import read_request as read_outcome
from launch_gang import Task
from looking import noticed_members, published_by
from postprocess.inputs import Analysed, InputsDisagree, read_local_inputs
from postprocess.parts import _read_sums
from reconcile import run_named_by
from spotline.contracts import Contract
from spotline.costs import Estimate
from spotline.documents import DocumentError, build, parse_json
from spotline.executions import Execution
from spotline.failures import ErrorName, Failure, failure_in
from spotline.layout import MANIFEST, notice_key, rendezvous_key
from spotline.manifests import AnalysisManifest, CleanManifest, Part, RejectedPart, ResultManifest, Shard
from spotline.objects import LocalObjects
from spotline.prices import SHIPPED, PriceTable
from spotline.run_table import _gang, _identity
from spotline.runs import Market, Run, Source
from sweeping.attempts import _request_of
from sweeping.requests import BadRequest
from sweeping.requests import read_request as read_sweep
from tests.poison import POISONS, damage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spotline.gangs import Gang
    from spotline.objects import S3Objects


@dataclass(frozen=True)
class Reader:
    """What reads a document, which errors it may answer with, what their messages name, and a document that it takes."""

    read: Callable[[bytes, Path], object]
    good: Any
    errors: tuple[type[Exception], ...] = (DocumentError,)
    names: str = ""


CLEAN = CleanManifest(
    source={"bucket": "b", "key": "k"},
    rows_read=3,
    rows_clean=2,
    rows_rejected=1,
    shards=(Shard("clean/shard-0000.parquet", 2, 99, "ab"),),
    rejected=(RejectedPart("rejected/part-0000.parquet", 1),),
    categories={"carrier": ["AA"]},
    contract="contract.json",
    quality="quality.json",
    analyse=True,
)
ANALYSIS = AnalysisManifest(
    clean="clean",
    clean_digest="cd",
    members=2,
    rounds=100,
    resumed_from=None,
    parts=(Part("part-0000.parquet", "part-0000.json", 2),),
    model="model.ubj",
    job_id="j",
    generation=1,
)
POINTER = Pointer(2, "j", "f", (Checkpoint(10, "checkpoints/round-000010.ubj", "ab"),), ((0.5, None), (0.4, 0.6)))
RUN = Run("flights-20130209-ab", "flights", "20130209", Source("in", "data/flights/20130209/f.csv", "v1", 9))
CONTRACT = {
    "fields": [
        {"name": "id", "type": "string", "constraints": {"required": True, "pattern": "[a-z]+", "enum": ["a", "b"]}},
        {"name": "at", "type": "datetime", "format": "%Y-%m-%dT%H:%M:%SZ", "missingValues": ["-"]},
        {"name": "on", "type": "boolean", "trueValues": ["1"], "falseValues": ["0"]},
        {"name": "price", "type": "number", "decimalChar": ",", "constraints": {"minimum": 0, "maximum": 9}},
        {"name": "year", "type": "year", "constraints": {"minimum": 1}},
    ],
    "missingValues": ["", "NA"],
    "primaryKey": ["id"],
    "dialect": {"delimiter": ";", "commentRows": [1]},
    "spotline": {
        "tolerance": {"maxRejectedShare": 0.05, "minRows": 1},
        "analysis": {"target": "price", "features": ["on"], "rounds": 9, "parameters": {"max_depth": 6}},
        "delivery": {"expectedBy": "06:30", "zone": "Europe/Paris", "daysAfter": 1, "weekdays": ["mon"]},
    },
}
JOB = {
    "JobId": "5f0c",
    "Status": "FAILED",
    "StatusReason": "Essential container in task exited",
    "Container": {"ExitCode": 65, "Reason": "r", "LogStreamName": "s"},
    "Attempts": [{"StatusReason": "Host EC2", "Container": {"ExitCode": 1, "Reason": "r", "LogStreamName": "s"}}],
}
LINE = {"job_id": "j", "stage": "analysis", "generation": 1, "hours": {"SPOT": 1.0}, "costs": {"SPOT": 1.0}}
COST = {"currency": "USD", "prices_as_of": "2025-07", "jobs": [{**LINE, "saved": 0.5, "wasted": 0.0}]}
SUMS = {
    "schema": "spotline/part/1",
    "task": "regression",
    "rows": {"train": 2},
    "surprising": [
        {
            "shard": 0,
            "row": 1,
            "key": {"id": "a"},
            "actual": 1.0,
            "prediction": 2.0,
            "residual": -1.0,
            "reasons": [{"feature": "on", "value": 1, "contribution": 0.5}],
        }
    ],
}
GANG_KEY = {"pk": {"S": "RUN#r"}, "sk": {"S": "GANG#0001"}}
GANG_ITEM: dict[str, Any] = {
    "run_id": {"S": "r"},
    "generation": {"N": "1"},
    "market": {"S": "SPOT"},
    "priority": {"S": "daily"},
    "task_token": {"S": "token"},
    "execution_arn": {"S": "arn"},
    "launched_at": {"S": "2013-02-09T06:00:00+00:00"},
    "submitting_at": {"S": "2013-02-09T06:00:00+00:00"},
    "job_id": {"S": "j"},
}
ARN = "arn:aws:states:us-east-1:1:execution:pipeline:run"
STATUS_CHANGE = {
    "detail-type": "Step Functions Execution Status Change",
    "detail": {"executionArn": ARN, "status": "FAILED", "redriveCount": 1},
}
TASK = {"run_id": "r", "execution_arn": "a", "task_token": "t", "market": "SPOT", "priority": "daily"}


def stored(place: Path, key: str, body: bytes) -> LocalObjects:
    objects = LocalObjects(place)
    objects.write(key, body)
    return objects


def read_notice(body: bytes, place: Path) -> object:
    return noticed_members(stored(place, notice_key("j", 1), body), "j")


def read_published(body: bytes, place: Path) -> object:
    gang = cast("Gang", type("Gang", (), {"generation": 1}))
    return published_by(cast("S3Objects", stored(place, MANIFEST, body)), gang)


def read_rendezvous(body: bytes, place: Path) -> object:
    return find_leader(stored(place, rendezvous_key("j"), body), "j", 1)


def read_sums(body: bytes, place: Path) -> object:
    return _read_sums(Analysed("at", stored(place, "part-0000.json", body), ANALYSIS), ANALYSIS.parts[0])


def read_inputs(body: bytes, place: Path) -> object:
    stored(place, MANIFEST, body)
    return read_local_inputs(place)


def read_quality(body: bytes, place: Path) -> object:
    for name, written in (
        (MANIFEST, json.dumps({**json.loads(CLEAN.to_json()), "analyse": False}).encode()),
        ("contract.json", json.dumps(CONTRACT).encode()),
        ("quality.json", body),
    ):
        stored(place, name, written)
    return read_local_inputs(place)


def read_gang(item: Any) -> object:
    """DynamoDB gives an item, which has its key; in what else it holds nothing is certain."""
    return _gang({**item, **GANG_KEY}) if isinstance(item, dict) else None


def event(read: Callable[[Any], object]) -> Callable[[bytes, Path], object]:
    """A reader of an event, which Lambda has parsed."""

    def parse_and_read(body: bytes, _: Path) -> object:
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            return None  # Lambda refuses it
        return read(parsed)

    return parse_and_read


def text(read: Callable[[str], object]) -> Callable[[bytes, Path], object]:
    """A reader of a text in AWS's answer, which may hold anything."""
    return lambda body, _: read(body.decode("utf-8", "surrogateescape"))


def document(read: Callable[[bytes], object]) -> Callable[[bytes, Path], object]:
    return lambda body, _: read(body)


READERS = {
    "contract": Reader(document(Contract.from_json), CONTRACT, names="contract"),
    "clean manifest": Reader(
        document(lambda body: CleanManifest.from_json(body, "s3://b/clean")),
        json.loads(CLEAN.to_json()),
        names="s3://b/clean",
    ),
    "analysis manifest": Reader(
        document(lambda body: AnalysisManifest.from_json(body, "s3://b/analysis")),
        json.loads(ANALYSIS.to_json()),
        names="s3://b/analysis",
    ),
    "result manifest": Reader(
        document(lambda body: ResultManifest.from_json(body, "s3://b/result")),
        json.loads(ResultManifest("c", None, "m", "r").to_json()),
        names="s3://b/result",
    ),
    "pointer": Reader(
        document(Pointer.from_json),
        {"schema": POINTER_SCHEMA, **asdict(POINTER)},
        (AnalysisError,),
        "checkpoints/pointer.json",
    ),
    "prices": Reader(document(PriceTable.from_json), json.loads(SHIPPED.read_bytes()), names="the price table"),
    "input": Reader(text(Run.from_input), json.loads(RUN.to_input()), names="the execution's input"),
    "input of a run's record": Reader(
        text(lambda body: _identity(Execution("arn", "FAILED", input=body))), json.loads(RUN.to_input()), ()
    ),
    "input of an earlier run": Reader(text(_request_of), json.loads(RUN.to_input()), ()),
    "cause of a gang": Reader(
        text(failure_in), json.loads(Failure(ErrorName.GANG_MEMBER_LOST, "lost", "j", 1, 75).to_cause()), ()
    ),
    "cause of a job": Reader(text(failure_in), JOB, ()),
    "cause for people": Reader(text(lambda body: diagnose(Ending("Preprocess", "", body), "FAILED")), JOB, ()),
    "output": Reader(text(_is_superseded), {"outcome": "superseded"}, ()),
    "line of a log": Reader(
        text(lambda body: (readable([body]), last_word([body]))),
        {"level": "ERROR", "message": "m", "exception": "e"},
        (),
    ),
    "notice": Reader(read_notice, {"kind": "spot", "member": 1}, ()),
    "published manifest": Reader(read_published, json.loads(ANALYSIS.to_json()), ()),
    "rendezvous": Reader(read_rendezvous, {"job_id": "j", "generation": 1, "address": "10.0.0.1", "port": 9}, ()),
    "sums": Reader(read_sums, SUMS, names="part-0000.json"),
    "quality": Reader(read_quality, {"columns": {}, "rejected": []}, names="quality.json"),
    "folder to postprocess": Reader(read_inputs, json.loads(CLEAN.to_json()), names=MANIFEST),
    "cost": Reader(event(Estimate.from_item), COST, names="the run's record"),
    "gang's record": Reader(event(read_gang), GANG_ITEM, names="item RUN#r GANG#0001"),
    "Task": Reader(event(lambda payload: build(Task, payload, "the Task's payload")), TASK, names="the Task's payload"),
    "event to ingest": Reader(
        event(ingest.source_of),
        {"detail": {"bucket": {"name": "b"}, "object": {"key": "k", "size": 9, "version-id": "v"}}},
        names="the event",
    ),
    "event to reconcile": Reader(
        event(run_named_by), {"source": "aws.batch", "detail": {"tags": {"spotline:run-id": "r"}}}, ()
    ),
    "event to notify": Reader(event(read_outcome), STATUS_CHANGE, (UnknownRequest,)),
    "request to notify": Reader(
        event(read_outcome), {"kind": "success", "execution_arn": ARN, "redrive_count": 0}, (UnknownRequest,)
    ),
    "refusal to notify": Reader(
        event(read_outcome), {"kind": "rejected-file", "bucket": "b", "key": "k", "reason": "r"}, (UnknownRequest,)
    ),
    "request to sweep": Reader(
        event(lambda asked: read_sweep(asked, "id")),
        {
            "from": "20130101",
            "to": "20130131",
            "dataset": "flights",
            "force": False,
            "continue": {"after": "k", "turns": 1},
        },
        (BadRequest,),
    ),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=list(READERS))
def test_a_good_document_is_read(reader: Reader, tmp_path: Path) -> None:
    with contextlib.suppress(InputsDisagree):  # of a file that it names
        reader.read(json.dumps(reader.good).encode(), tmp_path)


@pytest.mark.parametrize("reader", READERS.values(), ids=list(READERS))
def test_a_poisoned_document_harms_nobody_else(reader: Reader, tmp_path: Path) -> None:
    for name, body in POISONS.items():
        survive(reader, name, body, tmp_path)


@pytest.mark.parametrize("reader", READERS.values(), ids=list(READERS))
def test_a_document_with_a_value_of_another_type_harms_nobody_else(reader: Reader, tmp_path: Path) -> None:
    for name, body in damage(reader.good):
        survive(reader, name, body, tmp_path)


def survive(reader: Reader, name: str, body: bytes, place: Path) -> None:
    try:
        reader.read(body, place)
    except reader.errors as error:
        message = str(error)
        assert reader.names in message, f"{name}: {message}"
        assert len(message) < 1500, name
        assert message.encode().decode().isprintable(), f"{name}: {message!r}"
    except InputsDisagree:
        return  # it names another file
    except Exception as error:
        raise AssertionError(f"{name}: {error!r}") from error


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    # Given objects without a byte on the disk, of a terabyte each
    for key in (MANIFEST, notice_key("j", 1), rendezvous_key("j"), "part-0000.json"):
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(1 << 40)
    objects = cast("S3Objects", LocalObjects(tmp_path))
    # Then nobody reads them, and the message says how large they are
    with pytest.raises(DocumentError, match="1,099,511,627,776 bytes, more than"):
        AnalysisManifest.read(objects)
    assert noticed_members(objects, "j") == []
    assert find_leader(objects, "j", 1) is None
    with pytest.raises(DocumentError, match="more than"):
        _read_sums(Analysed("at", objects, ANALYSIS), ANALYSIS.parts[0])


def test_a_large_document_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(DocumentError, match=r"prices\.json: has 1,048,577 bytes"):
        parse_json(b" " * (1 << 20) + b"1", "prices.json")


def test_a_market_is_no_text() -> None:
    assert build(Task, TASK, "task").market is Market.SPOT
