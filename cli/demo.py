"""`spotline demo`: one file through the whole system, once."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from cli.project import ROOT, TEMPLATE, UnusableInput, Upload, check_own_file, find_sample

if TYPE_CHECKING:
    from cli.journey import Journey
    from cli.slack import SlackWebhook

DEFAULT_DAY = "20130209"
TIME_SCALE = 60.0  # a minute that AWS waits is a second here
_FEWEST_MEMBERS = 2  # an array job has at least 2 children
_MOST_MEMBERS = 8  # the most that template.yaml sizes its GPU environments for

Day = Annotated[
    str | None, typer.Option(help="Day of the sample, or of your own file: YYYYMMDD.", show_default=DEFAULT_DAY)
]
Input = Annotated[Path | None, typer.Option("--input", help="A CSV of your own instead of a sample; needs --contract.")]
Contract = Annotated[Path | None, typer.Option(help="The contract that your CSV follows.")]
Members = Annotated[int, typer.Option(min=_FEWEST_MEMBERS, max=_MOST_MEMBERS, help="Members of a gang.")]
Reclaims = Annotated[
    int,
    typer.Option(
        min=0, max=3, help="Gangs that lose a Spot instance in mid-training; the third makes the run fall back."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, last on stdout; progress goes to stderr.")]


def demo(
    day: Day = None,
    file: Input = None,
    contract: Contract = None,
    members: Members = 2,
    reclaims: Reclaims = 0,
    as_json: AsJson = False,
) -> None:
    """Upload a file and follow it through the deployed system, on this machine, to its end."""
    console = Console(stderr=as_json, highlight=False, emoji=False)
    try:
        upload = _choose_upload(day, file, contract)
    except UnusableInput as unusable:
        sys.exit(f"spotline: {unusable}")
    from cli.errors import exit_in_one_line  # noqa: PLC0415  the twin takes a second to import

    with exit_in_one_line():
        succeeded = _run(upload, members, reclaims, console, as_json=as_json)
    raise typer.Exit(0 if succeeded else 1)


def _choose_upload(day: str | None, file: Path | None, contract: Path | None) -> Upload:
    if (file is None) != (contract is None):
        raise UnusableInput("--input and --contract go together: a file, and the contract that it follows")
    if file is not None and contract is not None:
        return check_own_file(file, contract, day)
    return find_sample(day or DEFAULT_DAY)


def _run(upload: Upload, members: int, reclaims: int, console: Console, *, as_json: bool) -> bool:
    from cli.deployment import deploy, make_twin  # noqa: PLC0415  as above
    from cli.journey import Journey  # noqa: PLC0415
    from cli.outcome import build_page, collect_outcome  # noqa: PLC0415
    from cli.reclaims import ReclaimAtFirstCheckpoint  # noqa: PLC0415
    from cli.slack import SlackWebhook  # noqa: PLC0415
    from twin import TwinOptions  # noqa: PLC0415

    reporter = Reporter(console)
    with SlackWebhook() as slack, make_twin(TwinOptions(time_scale=TIME_SCALE)) as twin:
        spot = ReclaimAtFirstCheckpoint(
            reclaims,
            lambda gone: reporter.print_line(
                f"Spot took {gone.instance_id} from member {gone.member} at round {gone.round}", "yellow"
            ),
        )
        spot.install()
        stack = deploy(twin, slack, {"GangMembers": str(members)})
        reporter.print_line(f"deployed {TEMPLATE.name} into the twin at {twin.url}")
        uploaded = time.monotonic()
        journey = Journey(twin, stack, upload)
        journey.upload_files()
        reporter.print_line(f"uploaded s3://{stack.outputs['IngestBucket']}/{upload.key}")
        reporter.follow(journey)
        if journey.description()["status"] != "SUCCEEDED":
            _await_message(slack)
        outcome = collect_outcome(journey, slack.messages, len(spot.reclaimed), time.monotonic() - uploaded)
        report = _save_report(journey)
    if as_json:
        typer.echo(outcome.to_json())
    else:
        console.print(build_page(outcome, report))
    return outcome.succeeded


class Reporter:
    """Prints what happens and when, a line each; rounds of training are a bar that goes away again."""

    _STYLES: ClassVar = {"state": "bold", "gang": "cyan", "member": "dim cyan"}

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def print_line(self, text: str, style: str = "") -> None:
        """Print one line."""
        elapsed = f"[dim]{time.monotonic() - self._began:5.1f} s[/]"
        line = f"[{style}]{escape(text)}[/]" if style else escape(text)
        self._console.print(f"{elapsed} {line}", soft_wrap=True)

    def follow(self, journey: Journey) -> None:
        """Print what happens until the run is over."""
        rounds = TextColumn("{task.completed} of {task.total} rounds")
        with Progress(
            SpinnerColumn(), TextColumn("training"), BarColumn(), rounds, console=self._console, transient=True
        ) as bar:
            training = bar.add_task("training", total=None, visible=False)
            for update in journey.watch():
                if update.kind == "round":
                    bar.update(training, completed=update.round, total=update.rounds, visible=True)
                    if self._console.is_terminal:
                        continue
                if update.kind == "state":
                    bar.update(training, visible=False)
                self.print_line(update.text, self._STYLES.get(update.kind, "dim"))


_MESSAGE_WITHIN_SECONDS = 10


def _await_message(slack: SlackWebhook) -> None:
    """A failure's message follows from the event on the execution's status, which comes after the end."""
    end = time.monotonic() + _MESSAGE_WITHIN_SECONDS
    while not slack.messages and time.monotonic() < end:
        time.sleep(0.05)


def _save_report(journey: Journey) -> str | None:
    report = journey.result("report")
    if report is None:
        return None
    path = ROOT / "out" / journey.run_id / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(report)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
