"""The contract's law applied to the few cells that the quick way is not certain of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spotline.contracts.cells import Judgement, judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spotline.contracts import Field

_MAX_REMEMBERED = 5_000  # some columns are full of texts that never come again
_MAX_TEXT = 200  # longer texts hardly come twice


class Judge:
    """Judges cells of one field, remembering the texts that come again.

    Several threads may use one judge: whatever it remembers is what the law says, so that races cost time and nothing else.
    """

    def __init__(self, field: Field) -> None:
        self.field = field
        self._seen: dict[str, Judgement] = {}

    def judge(self, texts: Iterable[str]) -> list[Judgement]:
        """Judge raw cells, in order."""
        return [self._seen.get(text) or self._judge(text) for text in texts]

    def _judge(self, text: str) -> Judgement:
        verdict = judge(self.field, text)
        if len(text) <= _MAX_TEXT:
            if len(self._seen) >= _MAX_REMEMBERED:
                self._seen.clear()
            self._seen[text] = verdict
        return verdict
