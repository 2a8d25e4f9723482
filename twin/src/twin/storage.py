"""S3 and DynamoDB: moto's own, but that one caller's write is done before the next one's begins, as at AWS."""

from __future__ import annotations

from typing import Any

from twin.patches import dynamodb, s3


def install(_options: Any = None, _clock: Any = None) -> None:
    """Make moto's objects and tables keep their word to callers at the same time."""
    s3.write_one_object_at_a_time()
    s3.list_versions_after_a_key()
    s3.list_versions_without_their_contents()
    dynamodb.answer_one_call_at_a_time()
    dynamodb.copy_only_what_a_transaction_touches()
    dynamodb.read_one_partition_to_query_it()


def stop() -> None:
    """Nothing of it runs."""
