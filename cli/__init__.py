"""The `spotline` command: the whole system on one machine."""

from __future__ import annotations

import gc

import typer

from cli.contracts import check, init
from cli.demo import demo
from cli.faults import capacity, reclaim
from cli.up import up

app = typer.Typer(
    help="Rehearse Spotline on this machine: the deployed template, state machine and job code, with no AWS account.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(init)
app.command()(check)
app.command()(up)
app.command()(reclaim)
app.command()(capacity)


def main() -> None:
    """Entry point of the `spotline` command."""
    try:
        app()
    finally:
        # Everything has been stopped and given back by now. To look through moto's half a million objects for garbage once
        # more, as the interpreter does on its way out, takes longer than all that.
        gc.freeze()
