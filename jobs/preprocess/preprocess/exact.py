"""The contract's law applied to the few cells that the quick way is not certain of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preprocess.columns import MAX_SPELLINGS
from spotline.contracts.cells import Judgement, judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spotline.contracts import Field, Value

_MAX_REMEMBERED = 50_000
_MAX_TEXT = 200  # longer texts hardly come twice


class Judge:
    """Judges cells of one field, remembering the texts that come again.

    Several threads may use one judge: whatever it remembers is what the law says, so that races cost time and nothing else.
    """

    def __init__(self, field: Field) -> None:
        self.field = field
        self._seen: dict[str, Judgement] = {}
        self._spellings: dict[str, Value | None] = {}

    def judge(self, texts: Iterable[str]) -> list[Judgement]:
        """Judge raw cells, in order."""
        return [self._seen.get(text) or self._judge(text) for text in texts]

    def spellings(self) -> dict[str, Value | None]:
        """Raw cells that are clean, and their values (None: missing), as far as they were met."""
        return dict(self._spellings)

    def _judge(self, text: str) -> Judgement:
        verdict = judge(self.field, text)
        if len(text) <= _MAX_TEXT:
            if len(self._seen) >= _MAX_REMEMBERED:
                self._seen.clear()
            self._seen[text] = verdict
            if not verdict.broken and len(self._spellings) < MAX_SPELLINGS:
                self._spellings[text] = verdict.value
        return verdict
