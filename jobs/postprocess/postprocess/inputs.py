"""What the jobs before left, found through their manifests and checked against them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spotline.contracts import Contract
from spotline.layout import MANIFEST
from spotline.manifests import AnalysisManifest, CleanManifest, digest
from spotline.objects import ObjectMissing, Objects, open_object, open_objects

if TYPE_CHECKING:
    from pathlib import Path


class InputsDisagree(Exception):
    """What was found is not what its manifests say, or a manifest is missing; the message names both sides."""


@dataclass(frozen=True)
class Cleaned:
    """What preprocess left: its manifest, where that lies, and what the manifest names."""

    location: str
    folder: Objects
    manifest: CleanManifest
    contract: Contract
    quality: dict[str, Any]


@dataclass(frozen=True)
class Analysed:
    """What the gang left: its manifest, where that lies, and the folder that its paths are relative to."""

    location: str
    folder: Objects
    manifest: AnalysisManifest


@dataclass(frozen=True)
class Inputs:
    """All that postprocess reads. `analysed` is None when there was nothing to analyse."""

    cleaned: Cleaned
    analysed: Analysed | None


def read_inputs(cleaned_at: str, analysed_at: str) -> Inputs:
    """Read both manifests of a run.

    Parameters
    ----------
    cleaned_at, analysed_at
        Where preprocess and the gang left their manifests: `s3://bucket/prefix/`, or a folder.

    Raises
    ------
    InputsDisagree
        When there should be an analysis and is none, or it is one of other data.
    """
    body, cleaned = _read_cleaned(f"{cleaned_at.rstrip('/')}/{MANIFEST}")
    if not cleaned.manifest.analyse:
        return Inputs(cleaned, None)
    folder = open_objects(analysed_at)
    try:
        manifest = AnalysisManifest.from_json(folder.read(MANIFEST).body)
    except ObjectMissing as cause:
        raise InputsDisagree(
            f"{cleaned.location} says that there is something to analyse, but {folder.location(MANIFEST)} does not exist"
        ) from cause
    return Inputs(cleaned, _checked(Analysed(folder.location(MANIFEST), folder, manifest), body, cleaned))


def read_local_inputs(given: Path) -> Inputs:
    """Read from a folder: the analysis' output, or preprocess' output when there was nothing to analyse."""
    folder = open_objects(str(given))
    try:
        body = folder.read(MANIFEST).body
    except ObjectMissing as cause:
        raise InputsDisagree(
            f"{given} holds no {MANIFEST}: give the output folder of analysis, or of preprocess"
        ) from cause
    if json.loads(body).get("schema") == CleanManifest.SCHEMA:
        _, cleaned = _read_cleaned(folder.location(MANIFEST))
        if cleaned.manifest.analyse:
            raise InputsDisagree(
                f"{given} has something to analyse: run `python -m analysis` first and give its output"
            )
        return Inputs(cleaned, None)
    manifest = AnalysisManifest.from_json(body)
    clean_body, cleaned = _read_cleaned(manifest.clean)
    return Inputs(cleaned, _checked(Analysed(folder.location(MANIFEST), folder, manifest), clean_body, cleaned))


def _read_cleaned(location: str) -> tuple[bytes, Cleaned]:
    folder, key = open_object(location)
    try:
        body = folder.read(key).body
        manifest = CleanManifest.from_json(body)
        contract = Contract.from_json(_relative(location, manifest.contract))
        quality = json.loads(_relative(location, manifest.quality))
    except ObjectMissing as cause:
        raise InputsDisagree(f"{cause.args[0]} does not exist") from cause
    return body, Cleaned(location, folder, manifest, contract, quality)


def _relative(manifest: str, path: str) -> bytes:
    """The bytes of a file that a manifest names; the path may climb out of the manifest's folder."""
    parts = manifest.split("/")[:-1]
    for step in path.split("/"):
        if step == "..":
            parts.pop()
        elif step != ".":
            parts.append(step)
    objects, key = open_object("/".join(parts))
    return objects.read(key).body


def _checked(analysed: Analysed, clean_body: bytes, cleaned: Cleaned) -> Analysed:
    if analysed.manifest.clean_digest != digest(clean_body):
        raise InputsDisagree(f"{analysed.location} is an analysis of other data than {cleaned.location} names")
    return analysed
