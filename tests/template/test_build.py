"""How functions and layer are built: for Lambda's machine from any Python, everything pinned by hash, nothing that Lambda has already."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.template.system import ROOT, TEMPLATE, read_texts
from twin.deployment import template as templates

if TYPE_CHECKING:
    from pathlib import Path

RESOURCES = templates.read(read_texts()[TEMPLATE])["Resources"]
BUILT = {
    name: ROOT / resource["Properties"].get("CodeUri", resource["Properties"].get("ContentUri"))
    for name, resource in RESOURCES.items()
    if resource["Type"] in ("AWS::Serverless::Function", "AWS::Serverless::LayerVersion")
}
LOCKS = sorted(path / "requirements.txt" for path in BUILT.values() if (path / "requirements.in").exists())
RUNTIME_HAS = {"boto3", "botocore", "s3transfer"}


@pytest.mark.parametrize("name", BUILT)
def test_sam_finds_a_make_target_of_the_resources_name(name: str) -> None:
    assert RESOURCES[name]["Metadata"]["BuildMethod"] == "makefile"
    assert re.search(rf"^build-{name}:", (BUILT[name] / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in BUILT if name.endswith("Function")])
def test_a_functions_handler_is_where_the_template_says(name: str) -> None:
    module, _, function = RESOURCES[name]["Properties"]["Handler"].partition(".")
    assert f"\ndef {function}(" in (BUILT[name] / f"{module}.py").read_text()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.parent.name)
def test_requirements_are_pinned_by_hash_and_name_no_registry(lock: Path) -> None:
    text = lock.read_text()
    packages = re.findall(r"^([a-z0-9-]+)==\S+ \\$", text, re.MULTILINE)
    assert packages
    assert len(re.findall(r"^[^\s#]", text, re.MULTILINE)) == len(packages)
    assert all(re.search(rf"^{package}==\S+ \\\n    --hash=sha256:", text, re.MULTILINE) for package in packages)
    assert "://" not in text
    assert not RUNTIME_HAS & set(packages)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.parent.name)
def test_what_is_shipped_is_what_is_tested(lock: Path) -> None:
    tested = dict(
        re.findall(r"^([a-z0-9-]+)==(\S+) \\$", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE)
    )
    shipped = dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", lock.read_text(), re.MULTILINE))
    assert {name: tested.get(name) for name in shipped} == shipped
