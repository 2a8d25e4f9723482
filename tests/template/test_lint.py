"""cfn-lint accepts the templates as they are written and as SAM makes them, the state machine's definition inlined."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.template.system import DEFINITION, ROOT, TEMPLATE, packaged, read_texts
from twin.deployment import template as templates
from twin.deployment import transforms

# W3002: nested templates are named by local paths, which `sam deploy` replaces after the transform.
PACKAGED = "W3002"
CFN_LINT = Path(sys.executable).with_name("cfn-lint")


def lint(*arguments: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [CFN_LINT, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    return (done.stdout + done.stderr).strip()


def translated(texts: dict[str, str]) -> dict[str, Any]:
    """The root template after SAM's transform, with the definition in it: cfn-lint reads no file beside a template."""
    with mock.patch.dict(os.environ, AWS_DEFAULT_REGION="us-east-1"):
        template = transforms.expand(packaged(templates.read(texts[TEMPLATE])), {})
    properties = template["Resources"]["Pipeline"]["Properties"]
    del properties["DefinitionS3Location"]
    properties["Definition"] = json.loads(texts[DEFINITION].replace("${Partition}", "aws"))
    return template


def lint_translated(folder: Path, texts: dict[str, str]) -> str:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "translated.json").write_text(json.dumps(translated(texts)))
    return lint("--template", "translated.json", "--ignore-checks", PACKAGED, cwd=folder)


def test_the_templates_as_they_are_written() -> None:
    assert lint(cwd=ROOT) == ""


def test_the_root_template_as_sam_makes_it_with_the_definition_inlined(tmp_path: Path) -> None:
    assert lint_translated(tmp_path, read_texts()) == ""


@pytest.mark.parametrize(
    ("file", "right", "wrong", "said"),
    [
        (DEFINITION, '"Type": "Succeed"', '"Type": "Suceed"', "Suceed"),
        (TEMPLATE, "KeyType: RANGE", "KeyType: SORT", "E3002"),
    ],
)
def test_what_only_the_translated_template_shows_is_caught(
    tmp_path: Path, file: str, right: str, wrong: str, said: str
) -> None:
    texts = read_texts()
    assert right in texts[file]
    texts[file] = texts[file].replace(right, wrong)
    assert said in lint_translated(tmp_path, texts)
