"""Manifests: the JSON that a job writes last. Nothing is read that no manifest names.

Paths inside a manifest are relative to the folder that the manifest lies in.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self


class ManifestError(ValueError):
    """Not a manifest of the kind that was expected."""


def digest(body: bytes) -> str:
    """SHA-256 in hexadecimal: of a file named by a manifest, or of a manifest itself."""
    return hashlib.sha256(body).hexdigest()


class _Manifest:
    SCHEMA: ClassVar[str]

    def to_json(self) -> bytes:
        """The manifest's bytes; equal manifests give equal bytes."""
        document = {"schema": self.SCHEMA, **asdict(self)}  # type: ignore[call-overload]
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Read a manifest.

        Raises
        ------
        ManifestError
            When the document is not JSON, or of another schema.
        """
        try:
            document = json.loads(body)
            schema = document.pop("schema", None)
        except (ValueError, AttributeError, TypeError) as cause:
            raise ManifestError(
                f"expected a {cls.SCHEMA} manifest, found something that is not a JSON object"
            ) from cause
        if schema != cls.SCHEMA:
            raise ManifestError(f"expected a {cls.SCHEMA} manifest, found schema {schema!r}")
        try:
            return cls._build(document)
        except (KeyError, TypeError) as cause:
            raise ManifestError(f"the {cls.SCHEMA} manifest is incomplete: {cause}") from cause

    @classmethod
    def _build(cls, document: dict[str, Any]) -> Self:
        return cls(**document)


@dataclass(frozen=True)
class Shard:
    """One Parquet file of clean rows."""

    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class RejectedPart:
    """One Parquet file of rejected rows."""

    path: str
    rows: int


@dataclass(frozen=True)
class CleanManifest(_Manifest):
    """What preprocess leaves.

    `source` says what was read: on AWS `bucket`, `key`, `version_id`, `etag`; on the command line `path`. `contract` and
    `quality` are paths, and so is `cleaned`, of the clean rows as CSV if they were asked for. `analyse` is whether there is anything
    for a gang: clean rows, and a target in the contract.
    """

    SCHEMA: ClassVar[str] = "spotline/clean/1"

    source: dict[str, Any]
    rows_read: int
    rows_clean: int
    rows_rejected: int
    shards: tuple[Shard, ...]
    rejected: tuple[RejectedPart, ...]
    categories: dict[str, list[str]]
    contract: str
    quality: str
    analyse: bool
    cleaned: str | None = None

    @classmethod
    def _build(cls, document: dict[str, Any]) -> Self:
        shards = tuple(Shard(**shard) for shard in document.pop("shards"))
        rejected = tuple(RejectedPart(**part) for part in document.pop("rejected"))
        return cls(shards=shards, rejected=rejected, **document)


@dataclass(frozen=True)
class Part:
    """What one member leaves: scored rows (Parquet) and partial sums (JSON)."""

    rows_path: str
    sums_path: str
    rows: int


@dataclass(frozen=True)
class AnalysisManifest(_Manifest):
    """What a gang leaves.

    `clean` is the location of the clean manifest that was analysed, and `clean_digest` its SHA-256: an analysis is good for
    exactly these bytes. `resumed_from` is the round of the checkpoint that training went on from, or None.
    """

    SCHEMA: ClassVar[str] = "spotline/analysis/1"

    clean: str
    clean_digest: str
    members: int
    rounds: int
    resumed_from: int | None
    parts: tuple[Part, ...]
    model: str
    job_id: str
    generation: int
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def _build(cls, document: dict[str, Any]) -> Self:
        parts = tuple(Part(**part) for part in document.pop("parts"))
        return cls(parts=parts, **document)


@dataclass(frozen=True)
class ResultManifest(_Manifest):
    """What postprocess leaves; `clean` and `analysis` are the locations of the manifests that it read."""

    SCHEMA: ClassVar[str] = "spotline/result/1"

    clean: str
    analysis: str | None
    metrics: str
    report: str
