"""Every rule names what it rests on, and what it names is there: data that is installed and read, words that stand in AWS's models."""

from __future__ import annotations

import ast
import importlib.metadata
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.template.models import read_documentation
from tests.template.rules import RULES
from tests.template.rules.sources import SOURCES, Choice, Data, Model, Page, Report, Source
from tests.template.system import ROOT

if TYPE_CHECKING:
    from pathlib import Path

NAMED = [(rule, source) for rule, sources in SOURCES.items() for source in sources]
FOLLOWED = ("tests.template.", "clouds.", "twin.deployment.")
"""Modules whose imports count as a rule's own begin so."""
PAGE = re.compile(r"https://(docs\.aws\.amazon\.com|aws\.amazon\.com|states-language\.net|github\.com/aws[\w-]*)/\S+")
REPORT = re.compile(r"https://(github\.com/[\w.-]+/[\w.-]+/(issues|pull|discussions)/\d+|repost\.aws/\S+)")


def name_source(named: tuple[str, Source]) -> str:
    rule, source = named
    return f"{rule}-{type(source).__name__}"


def pick(kind: type[Source]) -> list[tuple[str, Source]]:
    return [(rule, source) for rule, source in NAMED if isinstance(source, kind)]


@cache
def list_imports(module: str) -> frozenset[str]:
    """What a module imports, by the first part of its name, through the modules of these tests and of the transform that it imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(find_file(module).read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "files" and node.args:
            names.append(str(ast.literal_eval(node.args[0])))  # importlib.resources: data that a package ships
    beside = {name for name in names if name.startswith(FOLLOWED) and find_file(name).exists()}
    return frozenset(name.split(".", 1)[0] for name in names).union(*map(list_imports, beside - {module}))


def find_file(module: str) -> Path:
    base = {"twin": "twin/src", "clouds": "twin/tests"}.get(module.split(".", 1)[0], ".")
    return (ROOT / base / module.replace(".", "/")).with_suffix(".py")


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_a_source(rule: str) -> None:
    assert SOURCES.get(rule), f"{rule} rests on nothing; name its source with @rests_on"


def test_sources_are_those_of_rules() -> None:
    assert set(SOURCES) <= set(RULES)


@pytest.mark.parametrize("named", pick(Data), ids=name_source)
def test_data_is_installed_and_read_by_the_rule(named: tuple[str, Data]) -> None:
    rule, source = named
    assert importlib.metadata.version(source.package)
    modules = {
        module
        for module, packages in importlib.metadata.packages_distributions().items()
        if source.package in {package.lower() for package in packages}
    }
    assert modules & list_imports(RULES[rule].__module__), f"{rule} does not read {source.package}"
    assert source.what


@pytest.mark.parametrize("named", pick(Model), ids=name_source)
def test_the_words_stand_in_awss_model(named: tuple[str, Model]) -> None:
    _, source = named
    assert source.says in read_documentation(source.service, source.where)


@pytest.mark.parametrize("named", pick(Page), ids=name_source)
def test_a_page_is_a_page_of_aws(named: tuple[str, Page]) -> None:
    _, source = named
    assert PAGE.fullmatch(source.url)
    assert source.guide
    assert source.title


@pytest.mark.parametrize("named", pick(Report), ids=name_source)
def test_a_report_is_public_and_says_what_it_shows(named: tuple[str, Report]) -> None:
    _, source = named
    assert REPORT.fullmatch(source.url)
    assert len(source.shows.split()) >= 5


@pytest.mark.parametrize("named", pick(Choice), ids=name_source)
def test_a_choice_gives_its_reason(named: tuple[str, Choice]) -> None:
    _, source = named
    assert len(source.reason.split()) >= 5


def test_words_that_aws_does_not_say_are_missed() -> None:
    source = Model("batch", "JobStateTimeLimitAction.maxTimeSeconds", "The minimum value is 60 ")
    assert source.says not in read_documentation(source.service, source.where)


def test_a_package_that_nobody_reads_is_missed() -> None:
    assert "moto" not in list_imports("tests.template.rules.sources")
