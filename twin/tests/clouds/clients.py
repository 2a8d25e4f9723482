"""Clients for tests of moto inside this process."""

from __future__ import annotations

import functools
from typing import Any

import boto3

REGION = "us-east-1"


def client(service: str) -> Any:
    """A client of `service`; of no account, so it is for use within `mock_aws` only."""
    make: Any = _session().client  # the stubs know services by literal name only
    return make(service)


@functools.cache
def _session() -> boto3.Session:
    """One for all tests: each session parses botocore's data anew, which takes longer than most of them."""
    return boto3.Session("a", "b", region_name=REGION)
