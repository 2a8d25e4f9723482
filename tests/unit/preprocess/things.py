"""A dataset in the cloud: its file, its contract, its run."""

from __future__ import annotations

import json
from typing import Any

import boto3

KEY = "data/things/20130209/things.csv"
RUN = "things-20130209-0123456789abcdef"
CONTRACT: dict[str, Any] = {"fields": [{"name": "n", "type": "integer"}]}
DATA = b"n\n" + b"".join(f"{index}\n".encode() for index in range(5000)) + b"x\n" * 100


def put_contract(bucket: str, share: float, **spotline: Any) -> None:
    body = json.dumps(CONTRACT | {"spotline": {"tolerance": {"maxRejectedShare": share}, **spotline}}).encode()
    boto3.client("s3").put_object(Bucket=bucket, Key="contracts/things.json", Body=body)


def keys(bucket: str) -> list[str]:
    return [item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


def read(bucket: str, key: str) -> bytes:
    return boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
