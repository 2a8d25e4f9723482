"""The AWS clients that the functions work with, made in one place and handed in, so that tests hand in others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.config import Config
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient


def retry_config() -> Config:
    """How clients repeat calls that are throttled or fail.

    botocore's standard mode: exponential back-off with jitter, at most 20 s between two calls, so that 8 calls stay below a minute on
    average ("Retries", Boto3 guide).
    """
    from botocore.config import Config  # noqa: PLC0415  jobs import this library too, and not all of them call AWS

    return Config(retries={"mode": "standard", "max_attempts": 8})


@dataclass(frozen=True)
class Clients:
    """One client a service."""

    batch: BatchClient
    steps: SFNClient
    dynamodb: DynamoDBClient
    s3: S3Client

    @classmethod
    def connect(cls) -> Clients:
        """Clients of the process's own account and region."""
        import boto3  # noqa: PLC0415  as above

        config = retry_config()
        return cls(
            batch=boto3.client("batch", config=config),
            steps=boto3.client("stepfunctions", config=config),
            dynamodb=boto3.client("dynamodb", config=config),
            s3=boto3.client("s3", config=config),
        )
