"""Checkpoints of a run and the lease on them: what makes a gang resume, and an older one stop writing.

The pointer (`checkpoints/pointer.json`) names the last two checkpoints and the generation that may write. A leader claims it
with a conditional write, and every later write of the pointer is conditional on the one before, so a gang that was fenced off
finds out by a refused write. Bodies are named after their content and written first; the pointer comes last.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from analysis.outcomes import AnalysisError, FencedOff
from spotline.documents import MIB, DocumentError, build, parse_object
from spotline.layout import CHECKPOINTS, MANIFEST, POINTER
from spotline.manifests import AnalysisManifest, ManifestError, digest
from spotline.objects import ObjectMissing, Objects, Stored, WriteRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "spotline/pointer/1"
KEPT = 2
POINTER_BYTES = 16 * MIB  # its history holds up to 100,000 rounds


@dataclass(frozen=True)
class Checkpoint:
    """One saved model: its round, where its bytes lie, and their SHA-256."""

    round: int
    key: str
    sha256: str


@dataclass(frozen=True)
class Pointer:
    """The content of the pointer. `fingerprint` names the training that the checkpoints belong to: another one starts afresh.

    `history` holds the training and the validation metric of every round up to the newest checkpoint; `checkpoints` are the
    last ones, the newest first.
    """

    generation: int
    job_id: str
    fingerprint: str
    checkpoints: tuple[Checkpoint, ...] = ()
    history: tuple[tuple[float, float | None], ...] = ()

    def to_json(self) -> bytes:
        """The pointer's bytes."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Pointer:
        """Read a pointer.

        Raises
        ------
        AnalysisError
            When it is none.
        """
        try:
            return build(cls, parse_object(body, POINTER, POINTER_BYTES, SCHEMA), POINTER)
        except DocumentError as cause:
            raise AnalysisError(
                f"{POINTER} is not a {SCHEMA} pointer ({cause.detail}); delete it to train from the first round"
            ) from cause


@dataclass(frozen=True)
class Resumed:
    """Where training goes on: the rounds that are done, the model's bytes (None: none), and the history so far."""

    round: int = 0
    body: bytes | None = None
    history: tuple[tuple[float, float | None], ...] = ()
    skipped: tuple[str, ...] = ()
    """Checkpoints that could not be used, and why."""


class Lease:
    """A leader's right to write a run's checkpoints and manifest, as long as no newer gang has claimed it."""

    def __init__(self, results: Objects, pointer: Pointer, etag: str, manifest_etag: str | None) -> None:
        self._results = results
        self._pointer = pointer
        self._etag = etag
        self._manifest_etag = manifest_etag

    @classmethod
    def claim(
        cls, results: Objects, generation: int, job_id: str, fingerprint: str, clean_digest: str | None = None
    ) -> Lease:
        """Make this gang the one that may write.

        Parameters
        ----------
        clean_digest
            Digest of the clean rows' manifest. An older gang that lived on unseen may have published their analysis between this
            gang's launch and now, and an analysis is published once; None takes no notice of what lies there.

        Raises
        ------
        FencedOff
            When a newer gang, or another one of this generation, holds the lease or takes it meanwhile; or when another gang has
            published the analysis of the same rows.
        """
        published = _read_stored(results, MANIFEST, AnalysisManifest.MOST_BYTES)
        manifest_etag = published.etag if published else None
        other = _read_analysis(published.body, clean_digest) if published else None
        if other is not None and (other.generation, other.job_id) != (generation, job_id):
            raise FencedOff(f"generation {other.generation} (job {other.job_id}) has published this analysis")
        found = _read_stored(results, POINTER, POINTER_BYTES)
        before, etag = (Pointer.from_json(found.body), found.etag) if found else (None, None)
        if before and (before.generation, before.job_id) != (generation, job_id) and before.generation >= generation:
            raise FencedOff(f"generation {before.generation} (job {before.job_id}) holds the checkpoint")
        mine, useless = Pointer(generation, job_id, fingerprint), before.checkpoints if before else ()
        if before and before.fingerprint == fingerprint:
            mine, useless = replace(mine, checkpoints=before.checkpoints, history=before.history), ()
        lease = cls(results, mine, "", manifest_etag)
        lease._put(mine, etag)
        for checkpoint in useless:
            results.delete(checkpoint.key)
        return lease

    def resume(self) -> Resumed:
        """The newest checkpoint whose bytes are what they were when it was written.

        Raises
        ------
        AnalysisError
            When there are checkpoints, but none can be used: training from the first round is then a person's decision.
        """
        skipped: list[str] = []
        for checkpoint in self._pointer.checkpoints:
            try:
                body = self._results.read(checkpoint.key).body
            except ObjectMissing:
                skipped.append(f"{checkpoint.key} is missing")
                continue
            if digest(body) != checkpoint.sha256:
                skipped.append(f"{checkpoint.key} is not what was written")
                continue
            return Resumed(checkpoint.round, body, self._pointer.history[: checkpoint.round], tuple(skipped))
        if skipped:
            raise AnalysisError(
                f"no checkpoint can be used: {'; '.join(skipped)}. Delete {self._results.location(POINTER)} to train from the"
                " first round"
            )
        return Resumed()

    def save(self, round_: int, body: bytes, history: tuple[tuple[float, float | None], ...]) -> None:
        """Write a checkpoint, body first, and forget all but the last ones.

        Raises
        ------
        FencedOff
            When this gang may no longer write; nothing that a pointer names was touched.
        """
        self.check()
        sha256 = digest(body)
        new = Checkpoint(round_, f"{CHECKPOINTS}round-{round_:06d}-{sha256[:16]}.ubj", sha256)
        self._results.write(new.key, body, temporary=True)
        older = [held for held in self._pointer.checkpoints if held.round < round_]
        kept = (new, *older[: KEPT - 1])
        dropped = {held.key for held in self._pointer.checkpoints} - {held.key for held in kept}
        self._put(replace(self._pointer, checkpoints=kept, history=history))
        for key in sorted(dropped):
            self._results.delete(key)

    def check(self) -> None:
        """Raise `FencedOff` when another gang has claimed the lease."""
        found = _read_stored(self._results, POINTER, POINTER_BYTES)
        if found is None or found.etag != self._etag:
            raise FencedOff(f"another gang has claimed {self._results.location(POINTER)}")

    def publish(self, manifest: bytes, metadata: Mapping[str, str] | None = None) -> None:
        """Write the manifest, which makes the analysis exist, unless another gang has claimed the lease or published.

        Raises
        ------
        FencedOff
            When this gang may no longer write.
        """
        self._put(self._pointer)
        try:
            self._results.write(MANIFEST, manifest, if_etag=self._manifest_etag, metadata=metadata)
        except WriteRefused as cause:
            raise FencedOff("another gang has published this run's analysis") from cause

    def _put(self, pointer: Pointer, etag: str | None = "") -> None:
        try:
            before = self._etag if etag == "" else etag
            self._etag = self._results.write(POINTER, pointer.to_json(), if_etag=before, temporary=True)
        except WriteRefused as cause:
            raise FencedOff(f"another gang has claimed {self._results.location(POINTER)}") from cause
        self._pointer = pointer


def compute_fingerprint(training: Mapping[str, Any]) -> str:
    """Name a training by everything that its model follows from, so that only its own checkpoints are resumed."""
    return digest(json.dumps(training, sort_keys=True, separators=(",", ":")).encode())


def _read_analysis(manifest: bytes, clean_digest: str | None) -> AnalysisManifest | None:
    """The analysis that a manifest describes, if it is one of these clean rows."""
    try:
        analysis = AnalysisManifest.from_json(manifest)
    except ManifestError:
        return None
    return analysis if analysis.clean_digest == clean_digest else None


def _read_stored(results: Objects, key: str, most_bytes: int) -> Stored | None:
    try:
        return results.read(key, most_bytes)
    except ObjectMissing:
        return None
    except DocumentError as cause:
        raise AnalysisError(f"{cause}. No gang wrote it; delete it, then redrive") from cause
