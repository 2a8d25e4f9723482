"""The law's memory: it saves time, stays small, and says nothing else than the law."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preprocess import exact
from preprocess.exact import Judge
from spotline.contracts.cells import judge
from tests.unit.preprocess.rehearsal import contract_of

if TYPE_CHECKING:
    import pytest


def test_texts_that_never_come_again_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "_MAX_REMEMBERED", 100)
    field = contract_of({"name": "x", "type": "integer", "constraints": {"maximum": 500}}).fields[0]
    memory = Judge(field)
    texts = [f" {index} " for index in range(1000)] * 2

    assert memory.judge(texts) == [judge(field, text) for text in texts]
    assert len(memory._seen) <= 100
