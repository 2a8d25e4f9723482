"""The command line: which way to work, and what its end is called."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from preprocess.job import Job, Options
from preprocess.outputs import CONTRACT, Folder, writable
from preprocess.progress import Progress
from preprocess.refusals import Misconfigured, Refusal
from preprocess.sources import LocalSource
from spotline import logs
from spotline.contracts import Contract
from spotline.documents import DocumentError
from spotline.exits import ExitCode
from spotline.layout import MANIFEST
from spotline.objects import LocalObjects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spotline.manifests import CleanManifest

log = logging.getLogger("preprocess")


def main(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code; whatever a person can fix ends in one line."""
    try:
        if arguments[:1] == ["infer"]:
            return _infer(_infer_parser().parse_args(arguments[1:]))
        if arguments:
            return _run_locally(_parser().parse_args(arguments))
        from preprocess.cloud import run  # noqa: PLC0415  boto3 is for the cloud only

        logs.set_up(
            "preprocess", os.environ.get("LOG_LEVEL") or "INFO", logs.JsonFormatter(run_id=os.environ.get("RUN_ID", ""))
        )
        run(os.environ)
    except (Refusal, DocumentError) as refusal:
        code = refusal.code if isinstance(refusal, Refusal) else ExitCode.BAD_CONFIGURATION
        if arguments:
            sys.stderr.write(f"preprocess: {refusal}\n")
        else:
            log.error("%s", refusal, extra={"exit_code": int(code)})  # noqa: TRY400  the line says it all
        return code
    return ExitCode.DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="preprocess",
        description="Clean a CSV under a contract: typed Parquet shards, rejected rows with reasons, a quality report, a manifest.",
        epilog="Without arguments the job runs from the environment that AWS Batch gives it."
        " `preprocess infer FILE` drafts a contract from a file.",
    )
    parser.add_argument("--input", type=Path, required=True, metavar="FILE", help="the CSV file (.gz and .zst too)")
    parser.add_argument("--contract", type=Path, required=True, metavar="FILE", help="the contract (JSON)")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for everything that is made")
    parser.add_argument("--cleaned-csv", action="store_true", help="write the clean rows to DIR/cleaned.csv too")
    parser.add_argument(
        "--block-mb", type=float, default=12, help="megabytes judged at once by each worker (default: 12)"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="threads (default: one a processor)")
    return parser


def _infer_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="preprocess infer",
        description="Draft a contract that reads a file, for a person to edit. The draft goes to standard output, and what a person"
        " must check to standard error.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the CSV file (.gz and .zst too)")
    parser.add_argument("--target", metavar="COLUMN", help="draft an analysis that explains this column")
    return parser


def _infer(options: argparse.Namespace) -> int:
    from preprocess.infer import draft  # noqa: PLC0415  of no use to the job

    contract, remarks = draft(LocalSource(options.file), options.target)
    sys.stdout.write(contract.decode())
    for remark in remarks:
        sys.stderr.write(f"preprocess infer: {remark}\n")
    return ExitCode.DONE


def _run_locally(options: argparse.Namespace) -> int:
    logs.set_up("preprocess", os.environ.get("LOG_LEVEL") or "INFO", logging.Formatter("%(message)s"))
    body = _read_contract(options.contract)
    contract = Contract.from_json(body)
    source = LocalSource(options.input)
    output = Folder(options.output)
    output.clear(options.input, options.contract)
    output.write(CONTRACT, body)
    progress = Progress(source.size, sys.stderr if sys.stderr.isatty() else None)
    work = Options(
        block_bytes=max(1, int(options.block_mb * (1 << 20))),
        workers=max(1, options.workers),
        cleaned=options.cleaned_csv,
    )
    try:
        manifest = Job(source, contract, output, progress, contract_path=CONTRACT, options=work).run()
    finally:
        progress.done()
    with writable(options.output / MANIFEST):
        LocalObjects(options.output).write(MANIFEST, manifest.to_json(), if_etag=None)
    log.info("%s", summary(manifest, output.location(MANIFEST)))
    return ExitCode.DONE


def _read_contract(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise Misconfigured(f"{path}: {cause.strerror}; give --contract a contract that can be read") from cause


def summary(manifest: CleanManifest, where: str) -> str:
    """The end of a good run in one line."""
    return (
        f"{manifest.rows_read} rows read, {manifest.rows_clean} clean, {manifest.rows_rejected} rejected,"
        f" {len(manifest.shards)} {'shard' if len(manifest.shards) == 1 else 'shards'}: {where}"
    )
