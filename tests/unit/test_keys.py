"""Keys and texts as an attack: a key is refused, or comes right through every place that it reaches."""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ingest
from announce import announcements
from announce.messages import to_message
from announce.outcomes import FileRejected, UnknownRequest, message_key, read_request
from announce.topic import subject
from postprocess.table import DayKey
from spotline.batch_jobs import GangPlaces, submit_gang
from spotline.documents import DocumentError
from spotline.executions import Execution
from spotline.gangs import Gang
from spotline.layout import MalformedKey, parse_data_key
from spotline.logs import JsonFormatter
from spotline.run_table import _identity
from spotline.runs import Market, Run, Source
from spotline.starting import Refused, run_of
from spotline.text import find_unprintable, make_printable
from tests.template.system import ROOT

NASTY = [
    "<!channel>",
    "<@U024BE7LH>",
    "*bold* _it_ ~gone~ `code`",
    ":skull:",
    "&amp;&lt;",
    "<script>alert(1)</script>",
    "$.source.key",
    "$$.Execution.Id",
    "States.Format('{}', $.x)",
    "{}{0}%s%(x)s${x}",
    "a+b%41%2F",
    "a b",
    "é\u0301",
    "\u00a0\u202f\u200d",
    "😀" * 50,
    "[bold]rich[/bold]",
    "'; DROP TABLE runs; --",
    '"}],"x":[{"',
    "..",
    "\\",
    "-" * 900,
]
POISONOUS = [
    "\n",
    "\r",
    "\t",
    "\x00",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2066",
    "\u200f",
    "\ufffe",
    "\ud800",
]
names = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(), min_size=1, max_size=40),
    st.tuples(st.sampled_from(NASTY), st.sampled_from(POISONOUS), st.text(max_size=20)).map("".join),
)
keys = names.map(lambda name: f"data/flights/20130209/{name}.csv")
texts = st.one_of(names, st.sampled_from(POISONOUS), st.text(st.characters(), max_size=60))


def event_of(key: str) -> dict[str, Any]:
    return {"detail": {"bucket": {"name": "in"}, "object": {"key": key, "size": 9, "version-id": "v"}}}


def run_or_refusal(key: str) -> Run | str:
    """What `ingest` makes of a key: a run, or what it says why there is none."""
    try:
        return run_of(ingest.source_of(event_of(key)), 1000)
    except (Refused, DocumentError) as refusal:
        return str(refusal)


def is_safe(text: str) -> bool:
    return find_unprintable(text) is None and text == text.encode().decode()


def is_encodable(text: str) -> bool:
    return not any("\ud800" <= one <= "\udfff" for one in text)


@pytest.mark.parametrize("name", NASTY)
def test_a_key_that_people_may_have_is_taken(name: str) -> None:
    run = run_or_refusal(f"data/flights/20130209/{name}.csv".replace("/script", "script").replace("[/", "["))
    assert isinstance(run, Run)


@pytest.mark.parametrize("character", POISONOUS)
def test_a_key_that_nobody_can_read_is_refused_by_a_name_that_everybody_can(character: str) -> None:
    refusal = run_or_refusal(f"data/flights/20130209/gpj{character}vsc.csv")
    assert isinstance(refusal, str)
    assert is_safe(refusal)
    assert "rename the file" in refusal or "half a surrogate pair" in refusal


@given(keys)
def test_a_key_is_refused_safely_or_comes_through_every_place(key: str) -> None:
    run = run_or_refusal(key)
    if isinstance(run, str):
        assert is_safe(run)
        assert len(run) < 1000
        return
    # The state's input gives the same key back, and is one line of JSON
    assert Run.from_input(run.to_input()).source.key == key
    assert "\n" not in run.to_input()
    # The execution's name, and the names and tags of jobs, hold nothing of the file's name
    assert re.fullmatch(r"[0-9A-Za-z_-]{1,80}", run.run_id)
    # An environment variable can hold it
    assert "\0" not in key
    # S3 can list it: every character is one of XML 1.0's
    assert all(
        one in "\t\n\r" or " " <= one <= "\ud7ff" or "\ue000" <= one <= "\ufffd" or one > "\uffff" for one in key
    )
    # DynamoDB's sort key takes 1,024 bytes, which S3's own limit for keys keeps
    if len(key.encode()) <= 1024:
        assert len(DayKey("flights", "20130209", parse_data_key(key).file).key["sk"]["S"].encode()) <= 1024
    # And the run's record names it as it is
    assert _identity(Execution("arn", "RUNNING", input=run.to_input()))["key"] == key


@given(texts, texts)
def test_the_message_of_a_refused_file_shows_its_key_as_text(key: str, reason: str) -> None:
    # Given whatever `ingest` could ever say
    event = {"kind": "rejected-file", "bucket": "in", "key": key, "reason": reason}
    if not all(is_encodable(text) for text in (key, reason)):
        with pytest.raises(UnknownRequest) as refused:
            read_request(event)
        assert is_safe(str(refused.value))
        return
    outcome = cast("FileRejected", read_request(event))
    said = announcements.file_rejected(outcome)
    message = to_message(said)
    # Then Slack gets what it can encode, and nothing that it formats, links or mentions
    assert is_safe(json.dumps(message.blocks, ensure_ascii=False).replace("\\n", ""))
    for block in message.blocks:
        for part in [block.get("text"), *block.get("fields", []), *block.get("elements", [])]:
            if part and part["type"] == "mrkdwn":
                assert not re.search(r"<(?!https://)", part["text"])
                bare = re.sub(r"`[^`]*`|^\*[^*]*\*", "", part["text"], flags=re.MULTILINE)
                assert not re.search(r"[*_~]\S.*[*_~]", bare.replace("*What to do*", "")), part["text"]
    # And SNS a subject of printable ASCII on one line
    assert re.fullmatch(r"[ -~]{1,99}", subject(key))
    # And the claim of the message has a key that DynamoDB can encode
    message_key(outcome, datetime.now(UTC)).pk.encode()


@given(texts)
def test_a_log_line_stays_one_line_of_json(key: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "read %s", (make_printable(key),), None)
    line = JsonFormatter(run_id="r").format(record)
    assert "\n" not in line
    assert json.loads(line.encode())["message"] == f"read {make_printable(key)}"


@given(texts)
def test_a_printable_text_is_printable(text: str) -> None:
    shown = make_printable(text)
    assert shown.isprintable()
    assert all(unicodedata.category(one) not in ("Cc", "Cs", "Cf") for one in shown)


def test_the_state_machine_hands_the_key_on_as_a_value_and_to_nothing_that_a_name_or_a_tag_is_made_of() -> None:
    definition = json.loads((ROOT / "statemachine/pipeline.asl.json").read_text())
    uses = re.findall(r'"([^"]+)":\s*"[^"]*\$\.source\.key[^"]*"', json.dumps(definition))
    assert set(uses) == {"Prefix.$", "Value.$"}
    assert "States.StringToJson" not in json.dumps(definition)


class _Batch:
    def submit_job(self, **call: Any) -> dict[str, Any]:
        self.call = call
        return {"jobId": "j"}


def test_tags_of_a_gang_s_job_are_within_aws_s_rules() -> None:
    # "Tag restrictions", Batch user guide: values of at most 256 characters; letters, numbers, spaces and + - = . _ : / @
    run = run_of(Source("in", "data/" + "f" * 31 + "/20130209/<!channel>.csv", "v", 9), 1000)
    arn = f"arn:aws-us-gov:states:us-gov-west-1:123456789012:execution:{'m' * 80}:{run.run_id}"
    gang = Gang(run.run_id, 9999, Market.SPOT, "token", arn, datetime.now(UTC))
    batch = _Batch()
    places = GangPlaces("q", "d", 300, "q", "d", 300, 2)
    submit_gang(cast("Any", batch), gang, places)
    for name, value in batch.call["tags"].items():
        assert re.fullmatch(r"[A-Za-z0-9 +\-=._:/@]{1,128}", name)
        assert re.fullmatch(r"[A-Za-z0-9 +\-=._:/@]{0,256}", value)


@pytest.mark.parametrize("key", ["data/flights/20130209/" + "é" * 499 + ".csv"])
def test_a_key_of_1024_bytes_is_taken(key: str) -> None:
    assert len(key.encode()) == 1024
    assert isinstance(run_or_refusal(key), Run)


def test_a_refusal_does_not_repeat_a_long_key_whole() -> None:
    with pytest.raises(MalformedKey) as refused:
        parse_data_key("data/" + "x" * 1019)
    assert len(str(refused.value)) < 500
