"""The edge to SNS: a topic that carries the messages as plain text, for e-mail, pagers and whatever else subscribes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from announce.delivery import Refused, Silent
from announce.messages import plain_text

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from announce.messages import Announcement

# Publish, SNS API reference: a subject has fewer than 100 characters of ASCII on one line, a message at most 256 KiB.
SUBJECT_LIMIT = 99
MESSAGE_LIMIT = 200_000


class Topic:
    """Publishes to one topic. The client must not retry by itself: a repeated publish is a repeated message."""

    def __init__(self, arn: str, client: SNSClient) -> None:
        self._arn = arn
        self._client = client

    def post(self, said: Announcement, *, maybe_repeated: bool) -> None:
        """Publish an announcement; its `kind` goes along as an attribute, by which a subscription can choose.

        Raises
        ------
        Refused
            SNS refused it (an error of ours), or could not be reached.
        Silent
            SNS failed (an error of its own), or did not answer.
        """
        try:
            self._client.publish(
                TopicArn=self._arn,
                Subject=subject(said.title),
                Message=plain_text(said, maybe_repeated=maybe_repeated)[:MESSAGE_LIMIT],
                MessageAttributes={"kind": {"DataType": "String", "StringValue": said.kind}},
            )
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            kind = Refused if 400 <= status < 500 else Silent
            raise kind(f"SNS answered {status}: {error}") from error
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            raise Refused(f"SNS could not be reached: {error}") from error
        except BotoCoreError as error:
            raise Silent(f"SNS did not answer: {error}") from error


def subject(title: str) -> str:
    r"""A title as SNS takes it for an e-mail's subject: printable ASCII on one line, beginning with a letter, digit or mark.

    >>> subject("flights 2013-02-09 failed: Data.Rejected")
    'flights 2013-02-09 failed: Data.Rejected'
    >>> subject(chr(233) + "tat\n2013")
    '?tat 2013'
    """
    line = " ".join(title.split()).encode("ascii", "replace").decode()
    printable = "".join(character for character in line if character.isprintable())
    return printable[:SUBJECT_LIMIT] or "Spotline"
