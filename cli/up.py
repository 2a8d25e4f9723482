"""`spotline up`: keep a twin running, to be used with the tools of the trade."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from cli.project import CONTRACTS, ROOT
from spotline.layout import contract_key

if TYPE_CHECKING:
    from twin.cloud import Twin
    from twin.deployment import Stack

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port of 127.0.0.1 to listen on; 0 takes any free one.")]
Members = Annotated[int, typer.Option(min=2, max=8, help="Members of a gang.")]
TimeScale = Annotated[
    float, typer.Option(help="Seconds of AWS per second here, wherever AWS waits: 60 makes a minute a second.")
]
Jobs = Annotated[str, typer.Option(help="real runs the jobs' programs; noop ends each job at once, well.")]

Duplicate = Annotated[float, typer.Option(min=0, max=1, help="Probability that an event is delivered twice.")]
Drop = Annotated[float, typer.Option(min=0, max=1, help="Probability that an event is lost.")]
Delay = Annotated[float, typer.Option(min=0, help="Longest delay of an event, in seconds of AWS.")]
Seed = Annotated[int, typer.Option(help="Makes these faults repeatable.")]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain", help="List first what of the template is modelled, accepted without effect, and refused."
    ),
]


def up(
    port: Port = 4566,
    members: Members = 2,
    time_scale: TimeScale = 1.0,
    jobs: Jobs = "real",
    duplicate_events: Duplicate = 0.0,
    drop_events: Drop = 0.0,
    delay_events: Delay = 0.0,
    seed: Seed = 0,
    explain: Explain = False,
) -> None:
    """Keep a twin running until Ctrl-C, and print how to use it with the `aws` command or any AWS SDK."""
    if jobs not in ("real", "noop"):
        sys.exit(f"spotline: --jobs is real or noop, not {jobs!r}")
    if time_scale <= 0:
        sys.exit(f"spotline: --time-scale is a number above 0, not {time_scale}")
    from cli.deployment import deploy, make_twin  # noqa: PLC0415  the twin takes a second to import
    from cli.errors import exit_in_one_line  # noqa: PLC0415
    from cli.slack import SlackWebhook, message_text  # noqa: PLC0415
    from twin import TwinOptions  # noqa: PLC0415
    from twin.explain import explain_stack  # noqa: PLC0415
    from twin.stopping import StopRequest  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True, emoji=False)  # an ARN has parts that rich takes for emoji
    kind: Literal["real", "noop"] = "noop" if jobs == "noop" else "real"
    options = TwinOptions(
        port=port,
        time_scale=time_scale,
        jobs=kind,
        duplicate_events=duplicate_events,
        drop_events=drop_events,
        delay_events=delay_events,
        seed=seed,
    )
    with (
        StopRequest() as stop,
        exit_in_one_line(),
        SlackWebhook(lambda message: console.print(f"[magenta]Slack:[/] {escape(message_text(message))}")) as slack,
        make_twin(options) as twin,
    ):
        stack = deploy(twin, slack, {"GangMembers": str(members)})
        for contract in sorted(CONTRACTS.glob("*.json")):
            key = contract_key(contract.stem)
            twin.client("s3").put_object(Bucket=stack.outputs["IngestBucket"], Key=key, Body=contract.read_bytes())
        if explain:
            console.print("\n".join(explain_stack(stack)) + "\n", markup=False)
        _print_how_to_use(console, twin, stack)
        stop.wait()
        console.print("stopping the twin and every process that it started")


def _print_how_to_use(console: Console, twin: Twin, stack: Stack) -> None:
    for name, value in twin.environment().items():
        console.print(f"export {name}={value}")
    console.print()
    for name, value in sorted(stack.outputs.items()):
        console.print(f"[bold]{name}[/] {escape(value)}")
    sample = "samples/data/flights/20130209/flights.csv"
    bucket = stack.outputs["IngestBucket"]
    console.print(
        f"\nContracts from {CONTRACTS.relative_to(ROOT)}/ are in place. Upload a file, then follow its run:\n"
        f"  aws s3 cp {sample} s3://{bucket}/{sample.removeprefix('samples/')}\n"
        f"  aws stepfunctions list-executions --state-machine-arn {stack.outputs['StateMachineArn']}\n"
        "Ctrl-C stops it all."
    )
