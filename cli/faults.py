"""`spotline reclaim` and `spotline capacity`: what Spot does to you, done on purpose to a running twin."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Annotated, Any

import typer

from cli.project import STACK_NAME

Run = Annotated[str | None, typer.Option(help="Id of the run; the newest gang on Spot when left out.")]
Member = Annotated[
    int | None, typer.Option(min=0, help="Member whose instance goes; the first that runs when left out.")
]
Notice = Annotated[
    float | None, typer.Option(help="Seconds of AWS between the notice and the end; 120 when left out, 0 for none.")
]
Market = Annotated[str, typer.Option(help="spot or on-demand.")]
Vcpus = Annotated[float, typer.Option(min=0, help="vCPUs that the market can lend in all; inf for no bound.")]


def reclaim(run: Run = None, member: Member = None, notice: Notice = None) -> None:
    """Take the Spot instance of a gang's member away, as AWS does: notice, SIGTERM, SIGKILL."""
    job_id = _spot_job(run)
    instance = _control("reclaim", {"job_id": job_id, "member": member, "notice_seconds": notice})["instance_id"]
    typer.echo(f"reclaiming {instance} from job {job_id}")


def capacity(market: Market, vcpus: Vcpus) -> None:
    """Change how many vCPUs a market can lend; what is lent already stays."""
    _control("capacity", {"market": market, "vcpus": vcpus})
    typer.echo(f"{market} can lend {vcpus:g} vCPUs from now on")


def _endpoint() -> str:
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if not endpoint.startswith("http://127.0.0.1:"):
        sys.exit(
            "spotline: no running twin: start `spotline up` and export what it prints (AWS_ENDPOINT_URL and the keys)"
        )
    return endpoint


def _control(what: str, asked: dict[str, Any]) -> dict[str, Any]:
    from twin.control import HEADER, PATH  # noqa: PLC0415  imports the twin, which takes a second

    request = urllib.request.Request(  # noqa: S310  _endpoint is an address of this machine
        _endpoint() + PATH + what, json.dumps(asked).encode(), {HEADER: "1"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answered:  # noqa: S310  as above
            document: dict[str, Any] = json.load(answered)
    except urllib.error.HTTPError as error:
        sys.exit(f"spotline: {json.load(error).get('error', error)}")
    except OSError as error:
        sys.exit(f"spotline: no twin answers at {_endpoint()}: {error}")
    return document


def _spot_job(run: str | None) -> str:
    """The newest unfinished gang on Spot, of one run or of any."""
    import boto3  # noqa: PLC0415  only where it is needed
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    endpoint = _endpoint()
    try:
        stacks = boto3.client("cloudformation", endpoint_url=endpoint).describe_stacks(StackName=STACK_NAME)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}
        pages = boto3.client("batch", endpoint_url=endpoint).get_paginator("list_jobs")
        filters: Any = [{"name": "JOB_NAME", "values": [f"{run}-g*" if run else "*"]}]
        found = [
            job
            for page in pages.paginate(jobQueue=outputs["SpotGangQueue"], filters=filters)
            for job in page["jobSummaryList"]
            if job["status"] not in ("SUCCEEDED", "FAILED")
        ]
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"spotline: {error}")
    if not found:
        sys.exit(f"spotline: {f'run {run} has' if run else 'there is'} no gang on Spot now")
    return str(max(found, key=lambda job: job["createdAt"])["jobId"])
