"""`spotline init` and `spotline check`: a contract that is right before anything is deployed."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from cli.project import CONTRACTS

if TYPE_CHECKING:
    from spotline.contracts import Contract

_WRONG = 78  # the exit code of a job whose contract is wrong
_SHOWN_REASONS = 10

CsvFile = Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file (.gz and .zst too).")]
OwnFile = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A CSV file to clean under the contract.")]
ContractFile = Annotated[Path, typer.Argument(metavar="CONTRACT", help="The contract (JSON).")]
Target = Annotated[str | None, typer.Option(metavar="COLUMN", help="Draft an analysis that explains this column.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", metavar="PATH", help="Where the contract goes; else contracts/<name of FILE>.json."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a contract that is there.")]


def init(file: CsvFile, target: Target = None, output: Output = None, force: Force = False) -> None:
    """Draft a contract from a file, check it, and clean the file under it once."""
    from preprocess.infer import draft  # noqa: PLC0415  polars takes a while to import
    from preprocess.refusals import Refusal  # noqa: PLC0415
    from preprocess.sources import LocalSource  # noqa: PLC0415

    path = output or CONTRACTS / f"{file.name.split('.')[0]}.json"
    if path.exists() and not force:
        _stop(f"{path} exists; choose another place with --output, or replace it with --force")
    try:
        body, remarks = draft(LocalSource(file), target)
    except Refusal as refusal:
        _stop(str(refusal), int(refusal.code))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    except OSError as cause:
        _stop(f"{path}: {cause.strerror}; choose another place with --output")
    typer.echo(f"Wrote {path}.")
    for remark in remarks:
        typer.echo(f"  check: {remark}")
    _clean_once(_read(path), file)
    typer.echo(
        f"Next: edit {path}, then `spotline check {path} {file}`, then `spotline demo --input {file} --contract {path}`."
    )


def check(contract: ContractFile, file: OwnFile = None) -> None:
    """Name every problem of a contract; with FILE, clean the file under it and say what would be rejected."""
    read = _read(contract)
    typer.echo(f"{contract}: right, {len(read.fields)} fields.")
    if file is not None:
        _clean_once(read, file)


def _read(path: Path) -> Contract:
    from spotline.contracts import Contract, find_problems  # noqa: PLC0415

    try:
        body = path.read_bytes()
    except OSError as cause:
        _stop(f"{path}: {cause.strerror}; give the path of a contract", _WRONG)
    problems = find_problems(body)
    if problems:
        for problem in problems:
            typer.echo(f"{path}: {str(problem).removeprefix('contract: ')}", err=True)
        _stop(
            f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}; docs/contracts.md explains each property",
            _WRONG,
        )
    return Contract.from_json(body)


def _clean_once(contract: Contract, file: Path) -> None:
    """Clean a file into a folder that is removed again, and print what came of it."""
    from preprocess.job import Job, Options  # noqa: PLC0415
    from preprocess.outputs import Folder  # noqa: PLC0415
    from preprocess.progress import Progress  # noqa: PLC0415
    from preprocess.refusals import Refusal  # noqa: PLC0415
    from preprocess.sources import LocalSource  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="spotline-check-") as folder:
        refused: Refusal | None = None
        try:
            source = LocalSource(file)
            progress = Progress(source.size)
            output = Folder(Path(folder))
            Job(source, contract, output, progress, contract_path="contract.json", options=Options()).run()
        except Refusal as refusal:
            refused = refusal
        report = Path(folder) / "quality.json"
        if report.exists():
            _print_quality(json.loads(report.read_bytes()))
    if refused is not None:
        _stop(str(refused).split("; the report is ")[0], int(refused.code))


def _print_quality(report: dict[str, Any]) -> None:
    typer.echo(
        f"{report['rows_read']:,} rows read, {report['rows_clean']:,} clean, {report['rows_rejected']:,} rejected."
    )
    for entry in report["rejected"][:_SHOWN_REASONS]:
        rule = entry["code"] if entry["field"] is None else f"{entry['code']} of {entry['field']}"
        example = entry["examples"][0] if entry["examples"] else {}
        value = f", such as {example['value']!r}" if "value" in example else ""
        typer.echo(f"  {entry['rows']:,} rows break {rule}{value} (line {example.get('line', '?')})")
    for name in report["extra_columns"]:
        typer.echo(f"  the column {name!r} is not in the contract and is left out")


def _stop(message: str, code: int = 1) -> NoReturn:
    typer.echo(f"spotline: {message}", err=True)
    sys.exit(code)
