from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from spotline.settings import SettingsError, load


@dataclass(frozen=True)
class Settings:
    runs_table: str
    gang_members: int
    folder: Path | None = None
    verbose: bool = False
    share: float = 0.5


def test_fields_are_read_from_variables_of_their_name() -> None:
    loaded = load(
        Settings, {"RUNS_TABLE": "runs", "GANG_MEMBERS": "4", "FOLDER": "/x", "VERBOSE": "true", "SHARE": "0.25"}
    )
    assert loaded == Settings("runs", 4, Path("/x"), verbose=True, share=0.25)


def test_a_default_stands_where_a_variable_is_absent_or_empty() -> None:
    assert load(Settings, {"RUNS_TABLE": "runs", "GANG_MEMBERS": "4", "SHARE": ""}) == Settings("runs", 4)


def test_every_wrong_variable_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        load(Settings, {"GANG_MEMBERS": "four", "VERBOSE": "perhaps"})
    assert "RUNS_TABLE is not set" in str(error.value)
    assert "GANG_MEMBERS='four' is not a whole number" in str(error.value)
    assert "VERBOSE='perhaps' is not true or false" in str(error.value)
    assert "template.yaml" in str(error.value)
