"""Draft a contract from a file, for a person to edit: the draft reads its own file, and says what it is not sure of.

Types are guessed from the first rows, then the draft is run over the whole file and widened until it holds. A value is never changed
in silence: what two types read differently, or a type would not keep (leading zeros, digits beyond a type, words that could mean "no
value"), stays a string or becomes a remark.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from preprocess.guessing import Guess, guess_type, is_boolean_like
from preprocess.job import Job, Options
from preprocess.progress import Progress
from preprocess.refusals import DataRefused
from preprocess.sniffing import SAMPLE_ROWS, find_table
from spotline.contracts import Contract
from spotline.contracts.cells import WHITE_SPACE

if TYPE_CHECKING:
    from preprocess.sniffing import Table
    from preprocess.sources import Source

_MAX_CHOICES = 12
_KEY_ROWS = 20  # with fewer rows any column may look like a key
_NEARLY_UNIQUE = 0.999
_USUAL_TOLERANCE = 0.01
_MOST_REJECTED = 0.2  # a draft that rejects more of its own file has not understood it
_MOST_RUNS = 5  # each widens at least one field, or is the last; what is left after them becomes a string at once


def draft(source: Source, target: str | None = None) -> tuple[bytes, list[str]]:
    """Draft a contract that reads the file, and remarks on everything that a person must decide.

    Parameters
    ----------
    target
        The column to analyse; an analysis of it is drafted.

    Raises
    ------
    DataRefused
        When the file is no CSV, has no row, or lacks the target; the message says the way out.
    """
    table = find_table(source)
    drafted = _Draft(source, table, target)
    return drafted.write(), drafted.remarks


@dataclass
class _Column:
    """A column under draft. `guess` is replaced by wider ones as the file demands."""

    name: str
    cells: list[str]
    padded: int
    guess: Guess
    required: bool
    enum: list[str] | None = None
    case: str | None = None
    remarks: list[str] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        """The field as the contract has it."""
        described: dict[str, Any] = {"name": self.name, **self.guess.properties}
        if self.guess.missing:
            described["missingValues"] = ["", *self.guess.missing]
        constraints: dict[str, Any] = {}
        if self.required:
            constraints["required"] = True
        if self.enum is not None:
            described["description"] = (
                "The values of enum are those of the file this was drafted from; others are rejected."
            )
            constraints["enum"] = self.enum
        if constraints:
            described["constraints"] = constraints
        if self.case is not None:
            described["spotline"] = {"case": self.case}
        return described


class _Draft:
    """One draft: guess from the sample, run over the file, widen, write."""

    def __init__(self, source: Source, table: Table, target: str | None) -> None:
        self._source = source
        self._table = table
        self._target = target
        self._trim = any(cell != cell.strip(WHITE_SPACE) for row in table.rows for cell in row)
        self._columns = [self._guess(name, index) for index, name in enumerate(table.names)]
        if target is not None:
            self._prepare_target(target)
        self._remarks: list[str] = list(table.remarks)
        self._tolerance = _USUAL_TOLERANCE
        self._hold_against_the_file()

    @property
    def remarks(self) -> list[str]:
        """What a person must check; each names the line of the draft to edit, where there is one."""
        lines = self.write().decode().splitlines()
        found = list(self._remarks)
        for column in self._columns:
            marker = f'"name": {json.dumps(column.name, ensure_ascii=False)}'
            line = next(number for number, text in enumerate(lines, start=1) if text.strip().rstrip(",") == marker)
            remarks = column.guess.remarks + column.remarks
            if column.padded and column.guess.properties["type"] == "string":
                remarks.append(
                    f"cells with white space around them: {column.padded}; spotline.trim takes it off, set it to false to keep it"
                )
            found += [f"{column.name} (line {line} of the draft): {remark}" for remark in remarks]
        return found

    def write(self) -> bytes:
        """The contract."""
        contract: dict[str, Any] = {
            "title": f"Drafted from {len(self._table.rows)} rows: check every line",
            "fields": [column.describe() for column in self._columns],
            "missingValues": [""],
            "dialect": self._table.dialect,
            "spotline": {
                "trim": self._trim,
                "tolerance": {"maxRejectedShare": self._tolerance, "minRows": 1},
            },
        }
        if self._target is not None:
            contract["spotline"]["analysis"] = {"target": self._target, "features": self._features(), "rounds": 100}
        return json.dumps(contract, ensure_ascii=False, indent=2).encode() + b"\n"

    def _guess(self, name: str, index: int) -> _Column:
        raw = [row[index] for row in self._table.rows]
        cells = [cell.strip(WHITE_SPACE) for cell in raw] if self._trim else raw
        guess = guess_type(cells)
        missing = {"", *guess.missing}
        present = [cell for cell in cells if cell not in missing]
        column = _Column(
            name,
            cells,
            sum(1 for cell in raw if cell != cell.strip(WHITE_SPACE)),
            guess,
            required=bool(present) and len(present) == len(cells),
        )
        if guess.properties["type"] == "string" and present:
            _find_categories(column, present)
        _find_key(column, present)
        return column

    def _prepare_target(self, target: str) -> None:
        column = next((column for column in self._columns if column.name == target), None)
        if column is None:
            names = ", ".join(map(repr, self._table.names[:20]))
            raise DataRefused(f"{self._source.name}: {target!r} is no column; name one of {names}")
        values = is_boolean_like(column.cells)
        if values is not None:
            true, false = values
            column.guess = Guess({"type": "boolean", "trueValues": [true], "falseValues": [false]})
            column.enum, column.case = None, None
            column.remarks.append(f"the target has two values: {true!r} is taken for true, {false!r} for false")
        elif column.guess.properties["type"] not in ("integer", "number", "boolean"):
            raise DataRefused(
                f"{self._source.name}: the target {target!r} reads as {column.guess.properties['type']};"
                " an analysis needs a number, or two values that mean true and false"
            )

    def _features(self) -> list[str]:
        """Every column that may explain the target: neither the target nor one whose values name single rows."""
        unfit = {column.name for column in self._columns if _names_rows(column)}
        left_out = sorted(unfit - {self._target})
        features = [column.name for column in self._columns if column.name not in unfit | {self._target}]
        if left_out:
            remark = f"analysis.features leaves out {', '.join(left_out)}: almost each row has a value of its own there"
            if remark not in self._remarks:
                self._remarks.append(remark)
        if not features:
            raise DataRefused(f"{self._source.name}: no column is left to explain {self._target!r} with")
        return features

    def _hold_against_the_file(self) -> None:
        """Run the draft over the whole file, and widen what the file does not follow."""
        for attempt in range(_MOST_RUNS):
            report = self._run()
            if not self._widen(report, last=attempt == _MOST_RUNS - 2):
                break
        rejected, read = report["rows_rejected"], report["rows_read"]
        if rejected > read * _MOST_REJECTED:
            often = ", ".join(
                f"{entry['code']} (line {entry['examples'][0]['line']})" for entry in report["rejected"][:3]
            )
            raise DataRefused(
                f"{self._source.name}: the best draft would reject {rejected} of {read} rows, so it is none: {often};"
                " look at these lines, and write dialect and fields by hand (docs/contracts.md)"
            )
        if rejected:
            share = rejected / max(1, read)
            self._tolerance = max(_USUAL_TOLERANCE, math.ceil(share * 100) / 100)
            self._remarks.append(
                f"rows that do not follow this draft and would be rejected: {rejected} of {read}; spotline.tolerance lets"
                f" {self._tolerance:.0%} pass"
            )
        for entry in report["rejected"]:
            if entry["field"] is None:
                lines = ", ".join(str(example["line"]) for example in entry["examples"])
                self._remarks.append(f"rows rejected for {entry['code']}: {entry['rows']}, such as line {lines}")

    def _run(self) -> dict[str, Any]:
        """The quality report of the whole file under this draft."""
        document = json.loads(self.write())
        document["spotline"]["tolerance"] = {"maxRejectedShare": 1, "minRows": 0}
        kept = _Kept()
        contract = Contract.from_json(json.dumps(document).encode())
        progress = Progress(self._source.size)
        Job(self._source, contract, kept, progress, contract_path="contract.json", options=Options()).run()
        report: dict[str, Any] = json.loads(kept.quality)
        return report

    def _widen(self, report: dict[str, Any], *, last: bool) -> bool:
        """Whether a field was changed: a constraint or a type that rows of the file break is given up for a wider one."""
        columns = {column.name: column for column in self._columns}
        changed = False
        for entry in report["rejected"]:
            column = columns.get(entry["field"])
            if column is None:
                continue
            examples = [example["value"] for example in entry["examples"] if "value" in example]
            if entry["code"] == "required":
                column.required = False
                changed = True
            elif entry["code"] == "enum":
                column.enum = None
                changed = True
            elif entry["code"] == "type" and (last or entry["rows"] > column.guess.exceptions):
                wider = (
                    guess_type([*column.cells, *examples * (1 + len(column.cells))])
                    if not last
                    else Guess({"type": "string"})
                )
                wider.remarks.append(
                    f"cells beyond the first {SAMPLE_ROWS} rows that are no {column.guess.properties['type']}: {entry['rows']}, such as"
                    f" {examples[0]!r}"
                )
                column.guess = wider
                changed = True
        return changed


def _find_categories(column: _Column, present: list[str]) -> None:
    """Draft an enumeration of few values, and one case for values that differ in nothing else."""
    values = sorted(set(present))
    if len(values) > _MAX_CHOICES * 2 or len(present) < 10 * len(values):
        return
    folded = sorted({value.lower() for value in values})
    if len(folded) < len(values):
        pair = next(
            [value for value in values if value.lower() == low]
            for low in folded
            if sum(v.lower() == low for v in values) > 1
        )
        column.case = "lower"
        column.remarks.append(
            f"{pair[0]!r} and {pair[1]!r} differ in case only; spotline.case makes them one: remove it to keep both"
        )
        values = folded
    if len(values) <= _MAX_CHOICES:
        column.enum = values


def _find_key(column: _Column, present: list[str]) -> None:
    if len(present) < _KEY_ROWS or column.guess.properties["type"] not in ("string", "integer"):
        return
    differing = len(set(present))
    if len(present) == len(column.cells) and differing >= len(present) * _NEARLY_UNIQUE:
        seen = "all" if differing == len(present) else f"{differing} of"
        column.remarks.append(
            f'{seen} {len(present)} values looked at differ; if it names rows, add "primaryKey": ["{column.name}"]'
        )


def _names_rows(column: _Column) -> bool:
    """Whether nearly each row has a text of its own, or an integer that counts rows."""
    if column.guess.properties["type"] not in ("string", "integer") or len(column.cells) < _KEY_ROWS:
        return False
    return len(set(column.cells)) >= len(column.cells) * _NEARLY_UNIQUE


class _Kept:
    """An output that keeps the quality report, and nothing else."""

    def __init__(self) -> None:
        self.quality = b""

    def write(self, path: str, body: bytes) -> None:
        """See `Output.write`."""
        if path == "quality.json":
            self.quality = body

    def grow(self, path: str) -> _Ignored:
        """See `Output.grow`."""
        return _Ignored(path)

    def location(self, path: str) -> str:
        """See `Output.location`."""
        return path


@dataclass(frozen=True)
class _Ignored:
    """A file that is not kept."""

    path: str

    def append(self, body: bytes) -> None:
        """See `Growing.append`."""

    def finish(self) -> None:
        """See `Growing.finish`."""

    def abandon(self) -> None:
        """See `Growing.abandon`."""
