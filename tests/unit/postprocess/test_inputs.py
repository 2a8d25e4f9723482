"""Only files that manifests name are read, and they are checked against the manifests."""

from dataclasses import replace
from pathlib import Path

import pytest

from postprocess.inputs import InputsDisagree, read_inputs, read_local_inputs
from spotline.contracts import ContractError
from spotline.manifests import CleanManifest, ManifestError
from tests.unit.postprocess.leftovers import write_clean


def test_an_analysis_leads_to_the_rows_it_was_made_of(clean: Path, analysis: Path) -> None:
    inputs = read_local_inputs(analysis)

    assert inputs.analysed is not None
    assert inputs.analysed.manifest.members == 2
    assert inputs.cleaned.manifest.rows_read == 8
    assert inputs.cleaned.contract.analysis is not None
    assert inputs.cleaned.contract.analysis.target == "price"


def test_a_run_with_nothing_to_analyse_has_cleaning_alone(tmp_path: Path) -> None:
    inputs = read_local_inputs(write_clean(tmp_path / "clean", analyse=False))

    assert inputs.analysed is None


def test_both_prefixes_of_a_run_are_read(clean: Path, analysis: Path) -> None:
    inputs = read_inputs(f"{clean}/", f"{analysis}/")

    assert inputs.analysed is not None
    assert inputs.analysed.manifest.rounds == 10


def test_an_analysis_of_other_rows_is_refused(clean: Path, analysis: Path) -> None:
    manifest = CleanManifest.from_json((clean / "manifest.json").read_bytes())
    (clean / "manifest.json").write_bytes(replace(manifest, rows_read=9).to_json())

    with pytest.raises(InputsDisagree, match="analysis of other data"):
        read_local_inputs(analysis)


def test_a_missing_analysis_is_not_taken_for_none(tmp_path: Path, clean: Path) -> None:
    with pytest.raises(InputsDisagree, match="something to analyse"):
        read_inputs(f"{clean}/", f"{tmp_path}/nowhere/")
    with pytest.raises(InputsDisagree, match="python -m analysis"):
        read_local_inputs(clean)


def test_a_missing_file_is_named(clean: Path, analysis: Path) -> None:
    (clean / "quality.json").unlink()

    with pytest.raises(InputsDisagree, match=r"quality\.json"):
        read_local_inputs(analysis)


def test_an_empty_folder_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(InputsDisagree, match="output folder of analysis"):
        read_local_inputs(tmp_path)


def test_what_is_no_manifest_is_refused(tmp_path: Path, clean: Path) -> None:
    (clean / "manifest.json").write_text("{}")
    with pytest.raises(ManifestError):
        read_local_inputs(clean)


def test_a_broken_contract_is_named(clean: Path, analysis: Path) -> None:
    (clean / "contract.json").write_text('{"fields": []}')

    with pytest.raises(ContractError, match="fields"):
        read_local_inputs(analysis)
