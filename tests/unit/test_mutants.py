"""The list of mutants that no test needs to notice is one that the runner reads, and the tests that judge are there."""

from __future__ import annotations

import pytest

from tests.mutants import run

CHANGES = [
    ("return a or b", "return a and b"),
    ("while True: pass", "while False: pass"),
    ("x = 1; y = 1", "x = 1; y = 2"),
    ("f(a, b, c)", "f(a, c)"),
    ("x = `quoted`", "x = None"),
    ("one", "two"),
]


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_survivor_is_printed_as_it_is_explained(before: str, after: str) -> None:
    line = f"- `spotline.runs.Run.to_input`: {run.shorten_change(before, after)}: it makes no difference"
    [explanation] = run.read_explanations(line)
    assert run.explains(explanation, "spotline.runs.Run.to_input", before, after)


def test_an_explanation_is_of_one_change_in_one_function() -> None:
    [explanation] = run.read_explanations("- `m.f`: `x < 1` → `x <= 1`: x is never 1")
    assert run.explains(explanation, "m.f", "if x < 1 and x < 1:", "if x < 1 and x <= 1:")
    assert not run.explains(explanation, "m.f", "if x < 1 and x < 1:", "if x < 1 or x < 1:")
    assert not run.explains(explanation, "m.g", "if x < 1:", "if x <= 1:")
    assert run.read_explanations("- `m.f`: `x < 1` → `x <= 1`: ") == set(), "it gives no reason"


def test_each_line_of_the_list_is_one_that_the_runner_reads() -> None:
    lines = [line for line in run.EXPLAINED.read_text(encoding="utf-8").splitlines() if line.startswith("- `")]
    assert [line for line in lines if not run.read_explanations(line)] == []


def test_what_is_judged_and_what_judges_is_there() -> None:
    assert [test for tests in run.JUDGES.values() for test in tests if not (run.ROOT / test).is_file()] == []
    places = ("layers/spotline", "functions/*")
    missing = [one for one in run.JUDGES if not any(any(run.ROOT.glob(f"{place}/{one}")) for place in places)]
    assert missing == []
    assert set(run.QUICK) <= set(run.JUDGES)
