"""The smallest run that has everything: two members, a row without a target, rejected rows."""

from pathlib import Path

import pytest

from tests.unit.postprocess.leftovers import Scored, write_analysis, write_clean


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Preprocess' output of eight rows, two of them rejected."""
    return write_clean(tmp_path / "clean")


@pytest.fixture
def analysis(tmp_path: Path, clean: Path) -> Path:
    """The output of a gang of two members that scored the six clean rows."""
    first = Scored((1.0, 2.0, None), (1.5, 2.0, 9.0), ("train", "validation", "unlabelled"))
    second = Scored((4.0, 8.0, 3.0), (4.0, 5.0, 2.0), ("validation", "validation", "train"))
    return write_analysis(tmp_path / "analysis", clean, [first, second])
