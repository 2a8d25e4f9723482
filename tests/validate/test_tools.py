"""What the tools of the trade say of the templates. They are heavy and in an environment of their own, because checkov pins what others need newer: `make validate` installs them and puts them on the path.

Exceptions have one place for each tool, each with its reason: `.checkov.yaml`, `.cfnlintrc.yaml`, and `EXCEPTIONS` here for parliament.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template.system import DEV, FILES, PROD, ROOT, TRIAL, System, as_list, load, read_texts
from tests.template.test_lint import translated

ENVIRONMENT = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}
TEMPLATES = [name for name in FILES if name.endswith(".yaml")]
DOCKERFILES = sorted(
    path for folder in ("jobs", "examples", "tests/images") for path in (ROOT / folder).glob("**/*Dockerfile")
)

# parliament's finding -> why it is none.
EXCEPTIONS = {
    "states:DescribeExecution arn:*:states:*:*:express:*:*:*": "our state machine is a standard one",
    "batch:SubmitJob arn:*:batch:*:*:job/*": "the resources to name are queue and definition (Batch User Guide, its examples)",
}
ARNS = {
    "AWS::Batch::JobQueue": "arn:aws:batch:eu-central-1:111122223333:job-queue/queue",
    "AWS::ECR::Repository": "arn:aws:ecr:eu-central-1:111122223333:repository/repository",
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:eu-central-1:111122223333:table/table",
    "AWS::Lambda::Function": "arn:aws:lambda:eu-central-1:111122223333:function:function",
    "AWS::S3::Bucket": "arn:aws:s3:::bucket",
    "AWS::SQS::Queue": "arn:aws:sqs:eu-central-1:111122223333:queue",
    "AWS::SecretsManager::Secret": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:secret-abcdef",
    "AWS::StepFunctions::StateMachine": "arn:aws:states:eu-central-1:111122223333:stateMachine:machine",
}


def tool(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed; `make validate` installs it and runs these tests", pytrace=False)
    return found


def run(*command: str | Path, code: int | None = 0) -> str:
    """What a tool prints; `code` is the exit code that it must have, None for one that says nothing."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_sam_accepts_the_template() -> None:
    run(tool("sam"), "validate", "--lint")


@pytest.mark.timeout(300)
def test_sam_builds_functions_and_layer(tmp_path: Path) -> None:
    run(tool("sam"), "build", "--build-dir", tmp_path / "build", "--cache-dir", tmp_path / "cache")

    built = {path.relative_to(tmp_path / "build").as_posix() for path in (tmp_path / "build").rglob("*.py")}
    for function in ("ingest", "sweep", "launch_gang", "reconcile", "notify"):
        assert f"{function.title().replace('_', '')}Function/{function}.py" in built
    assert {"SpotlineLayer/python/spotline/runs.py", "NotifyFunction/slack_sdk/__init__.py"} <= built
    assert not [path for path in built if "boto" in path]
    assert not list((tmp_path / "build").rglob("requirements.*"))


@pytest.mark.parametrize("name", [*TEMPLATES, "translated"])
def test_checkov_finds_nothing_that_is_not_excepted(name: str, tmp_path: Path) -> None:
    checkov, path = tool("checkov"), ROOT / name
    if name == "translated":
        path = tmp_path / "translated.json"
        path.write_text(json.dumps(translated(read_texts())))
    run(checkov, "--config-file", ROOT / ".checkov.yaml", "--file", path)


def arn(system: System, resource: str) -> str:
    """A resolved resource as an ARN of the form that it will have."""

    def written(match: re.Match[str]) -> str:
        return ARNS.get(system.at(match[0]).type, "name") if match.start() == 0 else "name"

    return re.sub(r"\{[^}]+\}", written, resource)


@pytest.mark.parametrize("parameters", [DEV, PROD, TRIAL], ids=["dev", "prod", "trial"])
def test_parliament_finds_nothing_in_our_policies(parameters: dict[str, str], tmp_path: Path) -> None:
    parliament, system = tool("parliament"), load(parameters)
    for number, (resource, statement) in enumerate(system.statements()):
        resources = [arn(system, str(each)) for each in as_list(statement["Resource"])]
        document = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": resources}]}
        (tmp_path / f"{number:02d} {resource.path}.json").write_text(json.dumps(document))

    answer = run(parliament, "--json", "--directory", tmp_path, "--include_policy_extension", "json", code=None)

    found = []
    for finding in map(json.loads, answer.splitlines()):
        said = [
            f"{it['action']} {it['required_format']}" if "action" in it else str(it)
            for it in as_list(finding["detail"])
        ]
        where = Path(finding["location"].get("filepath", "")).stem
        found += [f"{where}: {finding['issue']} {each}" for each in said if each not in EXCEPTIONS]
    assert found == []


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    run(tool("hadolint"), dockerfile)
