"""The checks, each a sentence of docs/extend.md that a command must keep, and the command that runs them all.

A check returns what is wrong, or None.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.conformance import data
from analysis.conformance.members import Gang, RunningMembers, run_members
from spotline.exits import ExitCode
from spotline.layout import MANIFEST, POINTER, notice_key
from spotline.manifests import AnalysisManifest, ManifestError, digest

LOST_SECONDS = 30.0
"""How soon a gang must end after a member was lost, or was asked to stop (docs/extend.md, "Surviving")."""
NOTICE_SECONDS = 120.0
"""How long a Spot notice comes ahead."""
DONE_SECONDS = 120.0
LONG = {"rounds": 400, "segment": 20}

Check = Callable[[Sequence[str], Path], str | None]


class NotChecked(Exception):
    """The command gave no occasion to check this; the message is the reason."""


def every_row_is_scored_once(command: Sequence[str], folder: Path) -> str | None:
    """A gang of two publishes, and its parts hold every clean row exactly once."""
    gang = _prepare_gang(command, folder, rows=600)
    return _run_to_the_end(gang) or _find_wrong_parts(gang, 600)


def a_multi_node_job_does_the_same(command: Sequence[str], folder: Path) -> str | None:
    """Started as a multi-node job, a gang of two publishes too."""
    gang = _prepare_gang(command, folder, rows=300, multi_node=True)
    return _run_to_the_end(gang) or _find_wrong_parts(gang, 300)


def more_members_than_rows_are_no_harm(command: Sequence[str], folder: Path) -> str | None:
    """A gang of three publishes an analysis of two rows."""
    gang = _prepare_gang(command, folder, rows=2, members=3)
    return _run_to_the_end(gang) or _find_wrong_parts(gang, 2)


def the_same_input_gives_the_same_parts(command: Sequence[str], folder: Path) -> str | None:
    """Two runs of one input leave the same bytes."""
    first = _prepare_gang(command, folder, rows=600)
    second = Gang(command, first.source, folder / "again", first.members)
    if wrong := _run_to_the_end(first) or _run_to_the_end(second):
        return wrong
    return None if _read_part_bytes(first.output) == _read_part_bytes(second.output) else "the two runs' parts differ"


def a_killed_member_ends_the_gang(command: Sequence[str], folder: Path) -> str | None:
    """When a member is killed the others leave with 75 within 30 s, nothing is published, and the next gang makes up for it."""
    return _check_loss(command, folder, signal.SIGKILL)


def a_frozen_member_ends_the_gang(command: Sequence[str], folder: Path) -> str | None:
    """The same for a member that freezes."""
    return _check_loss(command, folder, signal.SIGSTOP)


def a_notice_is_written_down(command: Sequence[str], folder: Path) -> str | None:
    """On SIGTERM to one member all leave with 75, and the notice is written beside the checkpoints."""
    gang = _prepare_gang(command, folder, rows=3000, lasting=True)
    with run_members(gang) as members:
        _wait_until_under_way(members)
        members.send(1, signal.SIGTERM, group=False)
        codes = members.wait_for_codes(LOST_SECONDS)
    if set(codes.values()) == {ExitCode.DONE}:
        raise NotChecked("the gang was done before it could be stopped")
    if set(codes.values()) != {ExitCode.TRY_AGAIN}:
        return f"exit codes by member are {codes}, not 75"
    path = gang.output / notice_key(gang.job_id, 1)
    return None if path.is_file() else f"{path.relative_to(gang.output)} was not written"


def a_spot_notice_is_written_down(command: Sequence[str], folder: Path) -> str | None:
    """On a Spot notice in its instance's metadata a member leaves with 75, and writes the notice with the kind `spot`."""
    gang = _prepare_gang(command, folder, rows=300, forming_seconds=NOTICE_SECONDS + LOST_SECONDS)
    with run_members(gang, indices=[0]) as members:  # which waits for the other, so the notice surely comes in time
        members.instance.items["spot/instance-action"] = '{"action": "terminate", "time": "2013-02-09T12:02:00Z"}'
        codes = members.wait_for_codes(NOTICE_SECONDS)
    if codes != {0: ExitCode.TRY_AGAIN}:
        return f"after {NOTICE_SECONDS:.0f} s exit codes by member are {codes}, not 75"
    path = gang.output / notice_key(gang.job_id, 0)
    if not path.is_file():
        return f"{path.relative_to(gang.output)} was not written"
    kind = json.loads(path.read_bytes()).get("kind")
    return None if kind == "spot" else f"the notice's kind is {kind!r}, not 'spot'"


def an_older_gang_changes_nothing(command: Sequence[str], folder: Path) -> str | None:
    """A gang of an older generation leaves with 75; pointer, manifest and what it names stay as they were."""
    newer = _prepare_gang(command, folder, rows=300, generation=7)
    if wrong := _run_to_the_end(newer):
        return wrong
    before = _read_named_bytes(newer.output)
    with run_members(Gang(command, newer.source, newer.output, generation=6)) as members:
        codes = members.wait_for_codes(DONE_SECONDS)
    if set(codes.values()) != {ExitCode.TRY_AGAIN}:
        return f"exit codes by member are {codes}, not 75"
    return None if _read_named_bytes(newer.output) == before else "the older gang overwrote what the newer one left"


def a_gang_that_does_not_form_gives_up(command: Sequence[str], folder: Path) -> str | None:
    """A member that waits in vain leaves with 76 when the limit is over."""
    gang = _prepare_gang(command, folder, rows=300, forming_seconds=3.0)
    with run_members(gang, indices=[0]) as members:
        codes = members.wait_for_codes(3.0 + LOST_SECONDS)
    return None if codes == {0: ExitCode.GANG_NOT_FORMED} else f"exit codes by member are {codes}, not 76"


def without_a_clean_manifest_nothing_is_analysed(command: Sequence[str], folder: Path) -> str | None:
    """Without a clean manifest all leave with 78."""
    gang = _prepare_gang(command, folder, rows=300)
    (gang.source / MANIFEST).unlink()
    with run_members(gang) as members:
        codes = members.wait_for_codes(DONE_SECONDS)
    return None if set(codes.values()) == {ExitCode.BAD_CONFIGURATION} else f"exit codes by member are {codes}, not 78"


CHECKS: tuple[Check, ...] = (
    every_row_is_scored_once,
    a_multi_node_job_does_the_same,
    more_members_than_rows_are_no_harm,
    the_same_input_gives_the_same_parts,
    a_killed_member_ends_the_gang,
    a_frozen_member_ends_the_gang,
    a_notice_is_written_down,
    a_spot_notice_is_written_down,
    an_older_gang_changes_nothing,
    a_gang_that_does_not_form_gives_up,
    without_a_clean_manifest_nothing_is_analysed,
)


def check_command(command: Sequence[str]) -> int:
    """Run every check on `command`, and write a line each; returns 0 when none failed."""
    failed = 0
    for check in CHECKS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
            try:
                wrong = check(command, Path(folder))
            except NotChecked as reason:
                result, detail = "not checked", str(reason)
            else:
                result, detail = ("FAIL", wrong) if wrong else ("ok", "")
        failed += result == "FAIL"
        title = (check.__doc__ or check.__name__).partition("\n")[0]
        _write_line(f"{result:12}{time.monotonic() - began:6.1f} s  {title}")
        if detail:
            _write_line(f"{'':22}{detail}")
    _write_line(f"{len(CHECKS)} checks, {failed} failed")
    return 1 if failed else 0


def _write_line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _prepare_gang(
    command: Sequence[str],
    folder: Path,
    *,
    rows: int,
    members: int = 2,
    generation: int = 1,
    multi_node: bool = False,
    forming_seconds: float = 60,
    lasting: bool = False,
) -> Gang:
    """Fresh data and a gang on it; a `lasting` one has rounds enough to be caught in the middle."""
    data.write_clean_data(folder / "in", data.build_table(rows), data.build_contract(**(LONG if lasting else {})))
    return Gang(command, folder / "in", folder / "out", members, generation, multi_node, forming_seconds)


def _run_to_the_end(gang: Gang) -> str | None:
    """Run a gang that must come through."""
    with run_members(gang) as members:
        codes = members.wait_for_codes(DONE_SECONDS)
    if set(codes.values()) != {ExitCode.DONE}:
        return f"generation {gang.generation}: exit codes by member are {codes}, not 0"
    return None if (gang.output / MANIFEST).is_file() else "all left with 0, but there is no manifest"


def _wait_until_under_way(members: RunningMembers) -> None:
    """Wait until the gang is under way, which its claim of the lease shows."""
    if not members.wait_for(members.gang.output / POINTER, DONE_SECONDS):
        raise NotChecked(f"{POINTER} was never written")


def _check_loss(command: Sequence[str], folder: Path, number: signal.Signals) -> str | None:
    gang = _prepare_gang(command, folder, rows=3000, lasting=True)
    with run_members(gang) as members:
        _wait_until_under_way(members)
        members.send(1, number)
        began = time.monotonic()
        codes = members.wait_for_codes(LOST_SECONDS, without=1)
        seconds = time.monotonic() - began
        if (gang.output / MANIFEST).exists():
            raise NotChecked("the gang was done before it could be disturbed")
    if codes != {0: ExitCode.TRY_AGAIN}:
        return f"after {seconds:.0f} s the exit codes of the others are {codes}, not 75"
    whole = Gang(command, gang.source, folder / "undisturbed")
    if wrong := _run_to_the_end(Gang(command, gang.source, gang.output, generation=2)) or _run_to_the_end(whole):
        return wrong
    return (
        None
        if _read_part_bytes(gang.output) == _read_part_bytes(whole.output)
        else "the next gang's parts differ from a quiet run's"
    )


def _read_manifest(output: Path) -> AnalysisManifest:
    return AnalysisManifest.from_json((output / MANIFEST).read_bytes())


def _find_wrong_parts(gang: Gang, rows: int) -> str | None:
    try:
        manifest = _read_manifest(gang.output)
        scored = [pq.read_table(gang.output / part.rows_path) for part in manifest.parts]
        sums = [json.loads((gang.output / part.sums_path).read_bytes()) for part in manifest.parts]
    except (ManifestError, OSError, pa.ArrowInvalid, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    if manifest.clean_digest != digest((gang.source / MANIFEST).read_bytes()):
        return "clean_digest is not the SHA-256 of the clean manifest"
    if (manifest.members, manifest.generation, manifest.job_id) != (gang.members, gang.generation, gang.job_id):
        return "members, generation or job_id in the manifest are not this gang's"
    if not (gang.output / manifest.model).is_file():
        return f"the model {manifest.model} is missing"
    for part, table, document in zip(manifest.parts, scored, sums, strict=True):
        if wrong := _find_wrong_part(table, document, part.rows):
            return f"{part.rows_path}: {wrong}"
    found = [(row["shard"], row["row"]) for table in scored for row in table.select(["shard", "row"]).to_pylist()]
    if len(found) != rows or len(set(found)) != rows:
        return f"the parts hold {len(found)} rows, {len(set(found))} of them different; there are {rows}"
    return None


def _find_wrong_part(table: pa.Table, document: dict[str, object], rows: int) -> str | None:
    columns = ["shard", "row", "key", "split", "actual", "prediction", "residual", "reasons"]
    if table.column_names != columns:
        return f"its columns are {table.column_names}, not {columns}"
    if table.num_rows != rows:
        return f"it has {table.num_rows} rows, the manifest has {rows}"
    if document.get("schema") != "spotline/part/1":
        return f"its sums have the schema {document.get('schema')!r}"
    splits = table["split"].to_pylist()
    counted = {name: splits.count(name) for name in ("train", "validation", "unlabelled")}
    return None if document.get("rows") == counted else f"its sums count {document.get('rows')}, its rows {counted}"


def _read_part_bytes(output: Path) -> list[bytes]:
    return [
        (output / path).read_bytes()
        for part in _read_manifest(output).parts
        for path in (part.rows_path, part.sums_path)
    ]


def _read_named_bytes(output: Path) -> list[bytes]:
    return [(output / POINTER).read_bytes(), (output / MANIFEST).read_bytes(), *_read_part_bytes(output)]
