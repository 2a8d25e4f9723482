"""What the earlier jobs of the run wrote, found through their manifests and checked against them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from spotline.contracts import MOST_BYTES, Contract
from spotline.documents import MIB, parse_object
from spotline.layout import MANIFEST
from spotline.manifests import AnalysisManifest, CleanManifest, digest
from spotline.objects import ObjectMissing, Objects, open_object, open_objects

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

QUALITY_BYTES = 64 * MIB
SAMPLES = 8
_RAW_SHOWN = 300


class InputsDisagree(Exception):
    """A file is not what its manifest describes, or a manifest is missing; the message names both files."""


@dataclass(frozen=True)
class Cleaned:
    """What preprocess wrote: its manifest, where that lies, and what the manifest names."""

    location: str
    folder: Objects
    manifest: CleanManifest
    contract: Contract
    quality: dict[str, Any]


@dataclass(frozen=True)
class Analysed:
    """What the gang wrote: its manifest, where that lies, and the folder that its paths are relative to."""

    location: str
    folder: Objects
    manifest: AnalysisManifest


@dataclass(frozen=True)
class Inputs:
    """All that postprocess reads. `analysed` is None when there was nothing to analyse."""

    cleaned: Cleaned
    analysed: Analysed | None


@dataclass(frozen=True)
class RejectedRow:
    """One rejected row for people: `record` counts from 1 after the header, `raw` is its text as far as it is UTF-8."""

    record: int
    reasons: str
    raw: str


def read_inputs(cleaned_at: str, analysed_at: str) -> Inputs:
    """Read both manifests of a run.

    Parameters
    ----------
    cleaned_at, analysed_at
        Where preprocess and the gang wrote their manifests: `s3://bucket/prefix/`, or a folder.

    Raises
    ------
    InputsDisagree
        When the analysis is missing, or is one of other data.
    """
    body, cleaned = _read_cleaned(f"{cleaned_at.rstrip('/')}/{MANIFEST}")
    if not cleaned.manifest.analyse:
        return Inputs(cleaned, None)
    folder = open_objects(analysed_at)
    try:
        manifest = AnalysisManifest.read(folder)
    except ObjectMissing as cause:
        raise InputsDisagree(
            f"{cleaned.location} has something to analyse, but {folder.location(MANIFEST)} does not exist"
        ) from cause
    return Inputs(cleaned, _check_analysed(Analysed(folder.location(MANIFEST), folder, manifest), body, cleaned))


def read_local_inputs(given: Path) -> Inputs:
    """Read from a folder: the analysis' output, or preprocess' output when there was nothing to analyse."""
    folder = open_objects(str(given))
    try:
        body = folder.read(MANIFEST, CleanManifest.MOST_BYTES).body
    except ObjectMissing as cause:
        raise InputsDisagree(
            f"{given} holds no {MANIFEST}: give the output folder of analysis, or of preprocess"
        ) from cause
    location = folder.location(MANIFEST)
    if parse_object(body, location, CleanManifest.MOST_BYTES).get("schema") == CleanManifest.SCHEMA:
        _, cleaned = _read_cleaned(location)
        if cleaned.manifest.analyse:
            raise InputsDisagree(
                f"{given} has something to analyse: run `python -m analysis` first and give its output"
            )
        return Inputs(cleaned, None)
    manifest = AnalysisManifest.from_json(body, location)
    clean_body, cleaned = _read_cleaned(manifest.clean)
    return Inputs(cleaned, _check_analysed(Analysed(location, folder, manifest), clean_body, cleaned))


def read_rejected_rows(cleaned: Cleaned, most: int = SAMPLES) -> tuple[RejectedRow, ...]:
    """The first rejected rows in the order of the file, from as many parts as it takes."""
    samples: list[RejectedRow] = []
    for part in cleaned.manifest.rejected:
        if len(samples) == most:
            break
        body = cleaned.folder.read(part.path).body
        rows = pq.ParquetFile(io.BytesIO(body)).read(["record", "raw", "reasons"])
        samples += [_build_rejected_row(row) for row in rows.slice(0, most - len(samples)).to_pylist()]
    return tuple(samples)


def _build_rejected_row(row: Mapping[str, Any]) -> RejectedRow:
    raw = row["raw"].decode("utf-8", "replace")
    return RejectedRow(
        record=row["record"],
        reasons=", ".join(" ".join(filter(None, [reason["field"], reason["code"]])) for reason in row["reasons"]),
        raw=raw if len(raw) <= _RAW_SHOWN else f"{raw[:_RAW_SHOWN]}…",
    )


def _read_cleaned(location: str) -> tuple[bytes, Cleaned]:
    folder, key = open_object(location)
    try:
        body = folder.read(key, CleanManifest.MOST_BYTES).body
        manifest = CleanManifest.from_json(body, location)
        contract = Contract.from_json(_read_named(location, manifest.contract, MOST_BYTES))
        quality = _read_quality(location, manifest)
    except ObjectMissing as cause:
        raise InputsDisagree(f"{cause.args[0]} does not exist") from cause
    return body, Cleaned(location, folder, manifest, contract, quality)


def _read_quality(location: str, manifest: CleanManifest) -> dict[str, Any]:
    body = _read_named(location, manifest.quality, QUALITY_BYTES)
    quality = parse_object(body, f"{manifest.quality}, named by {location}", QUALITY_BYTES)
    if not isinstance(quality.get("columns"), dict) or not isinstance(quality.get("rejected"), list):
        raise InputsDisagree(f"{manifest.quality}, named by {location}, has no columns or no list of rejected rows")
    return quality


def _read_named(manifest: str, path: str, most_bytes: int) -> bytes:
    """The bytes of a file that a manifest names; the path may climb out of the manifest's folder."""
    parts = manifest.split("/")[:-1]
    for step in path.split("/"):
        if step == "..":
            parts = parts[:-1]
        elif step != ".":
            parts.append(step)
    objects, key = open_object("/".join(parts))
    return objects.read(key, most_bytes).body


def _check_analysed(analysed: Analysed, clean_body: bytes, cleaned: Cleaned) -> Analysed:
    if analysed.manifest.clean_digest != digest(clean_body):
        raise InputsDisagree(f"{analysed.location} is an analysis of other data than {cleaned.location} names")
    return analysed
