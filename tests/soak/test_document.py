"""docs/soak.md keeps what other soaks wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.soak.document import table, write_section

if TYPE_CHECKING:
    from pathlib import Path


def test_a_new_section_takes_the_place_of_its_older_self_only(tmp_path: Path) -> None:
    document = tmp_path / "soak.md"
    document.write_text("# Soak\n\n## Before\n\nfirst\n\n## Mine\n\nold\n\n## After\n\nlast\n")

    write_section("Mine", "new", document)
    write_section("Mine", "newer", document)

    text = document.read_text()
    assert "old" not in text
    assert text.index("first") < text.index("newer") < text.index("last")
    assert text.count("## Mine") == 1


def test_a_first_section_comes_with_the_title_and_the_commit(tmp_path: Path) -> None:
    document = tmp_path / "soak.md"

    write_section("Mine", table(["seed", "outcome"], [(1, "SUCCEEDED")]), document)

    text = document.read_text()
    assert text.startswith("# Soak\n")
    assert "Commit " in text
    assert "| seed | outcome |\n| --- | --- |\n| 1 | SUCCEEDED |" in text
