"""The `twin` command: deploy a template on this machine and keep it running."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from twin.images import InvalidImages, MappedImages
from twin.stopping import StopRequest

if TYPE_CHECKING:
    from twin.cloud import Twin
    from twin.deployment import Stack

app = typer.Typer(
    help="AWS on one machine: deploy a SAM template and run it, with no account and no containers.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

Template = Annotated[Path, typer.Option(help="The SAM or CloudFormation template.", exists=True, dir_okay=False)]
Project = Annotated[
    Path | None,
    typer.Option(
        help="The folder that paths in the map of images start from; the template's when left out.",
        exists=True,
        file_okay=False,
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        help="A JSON file with what stands in for each container image: a folder with a Dockerfile, or a command (a list).",
        exists=True,
        dir_okay=False,
    ),
]
Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", metavar="NAME=VALUE", help="A parameter of the template; repeatable.")
]
StackName = Annotated[str, typer.Option(help="The stack's name.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port of 127.0.0.1 to listen on; 0 takes any free one.")]
TimeScale = Annotated[
    float, typer.Option(help="Seconds of AWS per second here, wherever AWS waits: 60 makes a minute a second.")
]
Jobs = Annotated[
    Literal["real", "noop"], typer.Option(help="real runs the jobs' programs; noop ends each at once, well.")
]
Explain = Annotated[
    bool, typer.Option("--explain", help="List what of the template is modelled, accepted without effect, and refused.")
]


@app.callback()
def _main() -> None:
    """AWS on one machine: deploy a SAM template and run it, with no account and no containers."""


@app.command()
def up(
    template: Template = Path("template.yaml"),
    project: Project = None,
    images: Images = None,
    parameters: Parameters = None,
    stack_name: StackName = "twin",
    port: Port = 4566,
    time_scale: TimeScale = 1.0,
    jobs: Jobs = "real",
    explain: Explain = False,
) -> None:
    """Deploy a template, print how to use it with the `aws` command or any AWS SDK, and keep it running until Ctrl-C."""
    if time_scale <= 0:
        sys.exit(f"twin: --time-scale is a number above 0, not {time_scale}")
    from twin.cloud import Twin  # noqa: PLC0415  moto takes a second to import
    from twin.deployment import DeploymentError  # noqa: PLC0415
    from twin.explain import explain_stack  # noqa: PLC0415
    from twin.options import TwinOptions  # noqa: PLC0415
    from twin.server import PortTaken  # noqa: PLC0415

    try:
        resolve_image, values = read_images(images, project or template.parent), read_parameters(parameters or [])
    except ValueError as error:
        sys.exit(f"twin: {error}")
    options = TwinOptions(port=port, time_scale=time_scale, jobs=jobs, resolve_image=resolve_image)
    try:
        with StopRequest() as stop, Twin(options) as twin:
            stack = twin.deploy(template, stack_name=stack_name, parameters=values)
            if explain:
                typer.echo("\n".join(explain_stack(stack)) + "\n")
            _print_how_to_use(twin, stack)
            stop.wait()
            typer.echo("stopping the twin and every process that it started")
    except (DeploymentError, PortTaken) as error:
        sys.exit(f"twin: {error}")


def read_images(file: Path | None, project: Path) -> MappedImages:
    """The map of images in a JSON file; without a file it is empty.

    Raises
    ------
    InvalidImages
        The file is no JSON object, or an entry is neither a folder with a Dockerfile nor a command.
    """
    if file is None:
        return MappedImages({}, project.resolve())
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidImages(f"{file} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidImages(f"{file} is a JSON object, from an image's name to a folder or a command")
    return MappedImages(document, project.resolve())


def read_parameters(given: list[str]) -> dict[str, str]:
    """The template's parameters from texts ``NAME=VALUE``.

    Raises
    ------
    ValueError
        A text has no ``=``.
    """
    wrong = [text for text in given if "=" not in text]
    if wrong:
        raise ValueError(f"--parameter is NAME=VALUE, not {wrong[0]!r}")
    return dict(text.split("=", 1) for text in given)


def _print_how_to_use(twin: Twin, stack: Stack) -> None:
    for name, value in twin.environment().items():
        typer.echo(f"export {name}={value}")
    typer.echo("")
    for name, value in sorted(stack.outputs.items()):
        typer.echo(f"{name} {value}")
    typer.echo(f"\n{stack.name} runs: {len(stack.resources)} resources. Ctrl-C stops it all.")


def main() -> None:
    """Entry point of the `twin` command."""
    try:
        app()
    finally:
        # Everything has been stopped and given back. Searching moto's half a million objects for garbage once more, as the
        # interpreter does on its way out, takes longer than all that.
        gc.freeze()
