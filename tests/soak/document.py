"""docs/soak.md: what `make soak` measured last. Each soak writes its own section and touches no other."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "soak.md"
TITLE = "# Soak\n\nWhat `make soak` measured last; each section is written by its own test.\n"


def write_section(heading: str, body: str, document: Path = DOCUMENT) -> None:
    """Put a section into the document, in the place of the one of that heading or at the end.

    Parameters
    ----------
    heading
        The section's title, without `##`; it is what the section is found by again.
    body
        Markdown below the line that names the commit and the time.
    """
    text = document.read_text(encoding="utf-8") if document.exists() else TITLE
    section = f"## {heading}\n\nCommit {commit()}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. {body.strip()}\n"
    old = re.compile(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    replaced, found = old.subn(lambda _: section + "\n", text)
    whole = replaced if found else f"{text.rstrip()}\n\n{section}"
    document.write_text(whole.rstrip() + "\n", encoding="utf-8")


def commit() -> str:
    """The commit that was measured, with a mark when other files than the document differ from it."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    others = ("--", ".", f":!{DOCUMENT.relative_to(ROOT)}")
    return f"{commit}-dirty" if _git("status", "--porcelain", *others) else commit


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [list(header), ["---"] * len(header), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
