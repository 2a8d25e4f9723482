"""`python -m analysis`: without arguments a member of the gang that Batch started, with arguments a gang on this machine.

`python -m analysis conformance -- COMMAND` checks a member that runs another program against docs/extend.md.
"""

import argparse
import sys
from pathlib import Path

from spotline.exits import ExitCode
from spotline.settings import SettingsError


def main(arguments: list[str]) -> int:
    """Run what the command line, or else the environment, asks for; returns the exit code."""
    try:
        if not arguments:
            from analysis import supervisor  # noqa: PLC0415  each command pays for its own imports only

            return supervisor.main()
        if arguments[0] == "conformance":
            return _check_conformance(arguments[1:])
        options = _build_parser().parse_args(arguments)
        from analysis import launcher  # noqa: PLC0415

        return launcher.launch(options.input, options.output, options.members)
    except SettingsError as error:
        print(f"analysis: {error}", file=sys.stderr)
        return ExitCode.BAD_CONFIGURATION


def _check_conformance(arguments: list[str]) -> int:
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        raise SettingsError("conformance needs the command of a member: python -m analysis conformance -- COMMAND")
    from analysis.conformance.checks import check_command  # noqa: PLC0415

    return check_command(command)


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description="Train a model of the contract's target on clean rows and score every row, as a gang of members.",
    )
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="the folder that preprocess wrote")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the analysis goes")
    parser.add_argument("--members", type=int, default=2, metavar="N", help="members of the gang (default 2)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
