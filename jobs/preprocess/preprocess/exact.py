"""The contract's law applied to the few cells that the quick way is not certain of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from preprocess.native import copy_texts
from spotline.contracts.cells import RULES, Judgement, judge, normalise
from spotline.contracts.patterns import match_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from preprocess.cutting import Positions
    from preprocess.rejected import Blame
    from preprocess.texts import Texts
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

    def judge(self, texts: Sequence[str]) -> list[Judgement]:
        """Judge raw cells without escapes, in order."""
        verdicts = {text: verdict for text in dict.fromkeys(texts) if (verdict := self._seen.get(text)) is not None}
        new = [text for text in dict.fromkeys(texts) if text not in verdicts]
        if new:
            verdicts |= zip(new, self._judge([(text, None) for text in new]), strict=True)
            self._remember(new, verdicts)
        return [verdicts[text] for text in texts]

    def judge_written(self, cells: Sequence[tuple[str, str]]) -> list[Judgement]:
        """Judge raw cells, in order; beside each what is written, with its escapes."""
        return self._judge([(text, None if text == written else written) for text, written in cells])

    def _judge(self, cells: Sequence[tuple[str, str | None]]) -> list[Judgement]:
        field, pattern = self.field, self.field.constraints.pattern
        if pattern is None:
            return [judge(field, text, written) for text, written in cells]
        # The engine is asked once for all of them, which takes a hundredth of the time of asking for each.
        normal = [normalise(field, text, written) or "" for text, written in cells]
        return [
            judge(field, text, written, matched=matched)
            for (text, written), matched in zip(cells, match_texts(pattern, normal), strict=True)
        ]

    def _remember(self, texts: Sequence[str], verdicts: Mapping[str, Judgement]) -> None:
        short = [text for text in texts[:_MAX_REMEMBERED] if len(text) <= _MAX_TEXT]
        if len(self._seen) + len(short) > _MAX_REMEMBERED:
            self._seen.clear()
        self._seen.update({text: verdicts[text] for text in short})


def number_texts(texts: pl.Series) -> tuple[list[str], npt.NDArray[np.uint32]]:
    """The different texts of a column, and which of them each cell is."""
    # In categories of their own: those of a file might grow without end.
    numbered = texts.cast(pl.Categorical(pl.Categories.random()))
    kinds: pl.Categorical = numbered.dtype  # type: ignore[assignment]
    return kinds.categories.to_series().to_list(), numbered.to_physical().to_numpy()


def collect(
    blame: Blame, records: Positions, name: str, texts: Texts, numbers: npt.NDArray[Any], verdicts: Sequence[Judgement]
) -> None:
    """Note what the law says against cells of one field; `numbers` says which verdict is each cell's."""
    broken = {code for verdict in verdicts for code in verdict.broken}
    for code in RULES:
        if code in broken:
            found = np.flatnonzero(np.array([code in verdict.broken for verdict in verdicts]).take(numbers))
            blame.add(records[found], code, name, copy_texts(texts.take(found)).series("value"))
