"""Manifests: the JSON that a job writes last. Nothing is read that no manifest names.

Paths inside a manifest are relative to the folder that the manifest lies in.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from spotline.documents import MIB, DocumentError, build, parse_object
from spotline.layout import MANIFEST

if TYPE_CHECKING:
    from spotline.objects import Objects


class ManifestError(DocumentError):
    """Not a manifest of the kind that was expected."""


def digest(body: bytes) -> str:
    """SHA-256 in hexadecimal: of a file named by a manifest, or of a manifest itself."""
    return hashlib.sha256(body).hexdigest()


class _Manifest:
    SCHEMA: ClassVar[str]
    MOST_BYTES: ClassVar[int] = MIB
    """How large one may be for its readers."""

    def to_json(self) -> bytes:
        """The manifest's bytes; equal manifests give equal bytes."""
        document = {"schema": self.SCHEMA, **asdict(self)}  # type: ignore[call-overload]
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def read(cls, folder: Objects) -> Self:
        """Read the manifest of a folder, or raise `ObjectMissing` or `DocumentError`."""
        return cls.from_json(folder.read(MANIFEST, cls.MOST_BYTES).body, folder.location(MANIFEST))

    @classmethod
    def from_json(cls, body: bytes, location: str = "the manifest") -> Self:
        """Read a manifest; `location` is what messages call it.

        Raises
        ------
        ManifestError
            When the document is not JSON, of another schema, or of another shape.
        """
        try:
            return build(cls, parse_object(body, location, cls.MOST_BYTES, cls.SCHEMA), location)
        except DocumentError as cause:
            raise ManifestError(location, f"not a {cls.SCHEMA} manifest: {cause.detail}") from cause


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
    MOST_BYTES: ClassVar[int] = 64 * MIB  # jobs alone parse it; most of it are the categories of text columns

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
    MOST_BYTES: ClassVar[int] = 8 * MIB  # a function of 512 MB parses it; a history of 100,000 rounds takes 4.5 MB

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


@dataclass(frozen=True)
class ResultManifest(_Manifest):
    """What postprocess leaves; `clean` and `analysis` are the locations of the manifests that it read."""

    SCHEMA: ClassVar[str] = "spotline/result/1"

    clean: str
    analysis: str | None
    metrics: str
    report: str
