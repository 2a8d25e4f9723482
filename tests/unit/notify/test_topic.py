"""What SNS does to a message, and what we may conclude from it."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from botocore.stub import Stubber

from announce.delivery import Refused, Silent
from announce.messages import Announcement
from announce.topic import Topic, subject

ARN = "arn:aws:sns:us-east-1:123456789012:messages"
SAID = Announcement("run-failed", "❌", "flights failed", "It <failed>.")


@pytest.fixture
def sns() -> Any:
    return boto3.client("sns", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")


def test_text_and_kind_are_published(sns: Any) -> None:
    with Stubber(sns) as stub:
        expected = {
            "TopicArn": ARN,
            "Subject": "flights failed",
            "Message": "❌ flights failed\nIt <failed>.\nthis message may have been posted before: the first one was not confirmed",
            "MessageAttributes": {"kind": {"DataType": "String", "StringValue": "run-failed"}},
        }
        stub.add_response("publish", {"MessageId": "1"}, expected)

        Topic(ARN, sns).post(SAID, maybe_repeated=True)

        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("status", "meaning"), [(400, Refused), (403, Refused), (429, Refused), (500, Silent), (503, Silent)]
)
def test_an_error_of_its_own_leaves_it_open_whether_the_message_arrived(
    sns: Any, status: int, meaning: type[Exception]
) -> None:
    with Stubber(sns) as stub:
        stub.add_client_error("publish", http_status_code=status)

        with pytest.raises(meaning, match=f"SNS answered {status}"):
            Topic(ARN, sns).post(SAID, maybe_repeated=False)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (EndpointConnectionError(endpoint_url="https://sns"), Refused),
        (ConnectTimeoutError(endpoint_url="https://sns"), Refused),
        (ReadTimeoutError(endpoint_url="https://sns"), Silent),
    ],
)
def test_no_answer_is_told_from_no_question(error: Exception, meaning: type[Exception]) -> None:
    class Client:
        def publish(self, **_: Any) -> None:
            raise error

    with pytest.raises(meaning):
        Topic(ARN, Client()).post(SAID, maybe_repeated=False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("title", "line"),
    [("a\nb\tc", "a b c"), ("x" * 200, "x" * 99), ("\u2705 done", "? done"), ("a\x00b", "ab"), ("", "Spotline")],
)
def test_a_subject_is_what_sns_takes(title: str, line: str) -> None:
    assert subject(title) == line
