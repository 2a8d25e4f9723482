"""docs/deploy.md, followed for the environments `trial` and `prod` of samconfig.toml as far as the twin goes.

Each fenced `sh` block is run by a shell, in document order and with what earlier blocks have set, or stands in `NOT_HERE` with the reason.
`sam` is not run, because it deploys by change sets, which the twin does not model: the twin deploys the same template with the same list
of parameters instead. Jobs end at once (`cli.noop`); `test_trial.py` runs them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from cli.deployment import make_twin
from cli.slack import SlackWebhook
from tests.twin.test_up import BIN, ROOT, wait_for
from twin import Twin, TwinOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from twin.deployment import Stack

DOCUMENT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
VARIABLES = ("stack", "tag", "buckets", "table", "sources")
JOBS = ("preprocess", "analysis", "postprocess")

pytestmark = [pytest.mark.ours, pytest.mark.timeout(300)]

Block = tuple[str, int]


def split_blocks() -> dict[Block, str]:
    """Every fenced `sh` block by its section and its number there; one in a list loses the list's indentation."""
    found: dict[Block, str] = {}
    for section in re.split(r"^## ", DOCUMENT, flags=re.MULTILINE):
        heading = section.split("\n", 1)[0]
        bodies = re.findall(r"^( *)```sh\n(.*?)^ *```$", section, re.MULTILINE | re.DOTALL)
        for number, (indentation, body) in enumerate(bodies):
            found[heading, number] = re.sub(f"^{indentation}", "", body, flags=re.MULTILINE)
    return found


BLOCKS = split_blocks()


@dataclass(frozen=True)
class NotHere:
    """A block that the twin cannot run: a command of each step in it, and why."""

    commands: tuple[str, ...]
    reason: str


NOT_HERE: dict[Block, NotHere] = {
    ("Images", 0): NotHere(
        ("aws cloudformation deploy --stack-name spotline-images",), "change sets and CodeBuild are not modelled"
    ),
    ("Images", 2): NotHere(
        ("git archive", "aws codebuild start-build", "aws logs tail"),
        "CodeBuild is not modelled, and no image is built",
    ),
    ("Images", 3): NotHere(
        ("aws ecr get-login-password", "docker build", "docker push"),
        "needs Docker; the twin runs programs, not images",
    ),
    ("A shared folder", 0): NotHere(
        ("aws efs create-file-system", "aws efs create-mount-target", "aws efs create-access-point"),
        "EFS is not modelled, and no file system is mounted",
    ),
    ("Upgrade and roll back", 1): NotHere(
        ("sam package", "aws cloudformation create-change-set"), "change sets are not modelled"
    ),
    ("Tear down", 1): NotHere(("sam delete --stack-name $stack",), "the twin deletes no stack; it goes as a whole"),
    ("Tear down", 6): NotHere(
        ("aws cloudformation delete-stack --stack-name spotline-images",),
        "the twin deletes no stack, and has not this one",
    ),
}


class Deployer:
    """A newcomer who follows the document: a checkout, a shell, and a twin for an account."""

    def __init__(self, twin: Twin, environment: str, folder: Path, slack: SlackWebhook) -> None:
        self.twin, self.environment, self.folder, self.slack = twin, environment, folder, slack
        self.stack: Stack | None = None

    @property
    def outputs(self) -> dict[str, str]:
        assert self.stack is not None, "nothing is deployed yet"
        return dict(self.stack.outputs)

    def read_config(self) -> dict[str, Any]:
        """The environment's part of the checkout's samconfig.toml, as it is now."""
        config: dict[str, Any] = tomllib.loads((self.folder / "samconfig.toml").read_text())[self.environment]
        return config

    def read_parameters(self) -> dict[str, str]:
        entries = self.read_config()["deploy"]["parameters"]["parameter_overrides"]
        return dict(entry.split("=", 1) for entry in entries)

    def deploy(self, name: str | None = None) -> Stack:
        """What `sam deploy --config-env` of the environment does."""
        stack_name = name or self.read_config()["global"]["parameters"]["stack_name"]
        return self.twin.deploy(ROOT / "template.yaml", stack_name=stack_name, parameters=self.read_parameters())

    def fill_in(self, commands: str) -> str:
        """The commands with what the document leaves to its reader."""
        name = self.read_config()["global"]["parameters"]["stack_name"]
        filled = commands.replace("https://hooks.slack.com/services/...", self.slack.url)
        return re.sub(r"^stack=spotline-trial ", f"stack={name} ", filled, flags=re.MULTILINE)

    def run(self, commands: str) -> str:
        """What the commands print, once every one of them has succeeded. What they set is there for the next block."""
        kept = self.folder / "kept.sh"
        keep = f"{{ declare -p {' '.join(VARIABLES)} || true; declare -f out image || true; }} 2>/dev/null"
        script = f"[ ! -e {kept} ] || . {kept}\n{self.fill_in(commands)}\n{keep} > {kept}\n"
        finished = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(self.folder), **self.twin.environment()},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert finished.returncode == 0, (commands, finished.stdout, finished.stderr)
        return finished.stdout


@pytest.fixture(scope="module", params=["trial", "prod"])
def deployer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployer]:
    folder = tmp_path_factory.mktemp(request.param)
    shutil.copy(ROOT / "samconfig.toml", folder)
    for name in ("contracts", "samples"):
        (folder / name).symlink_to(ROOT / name)
    as_nobody = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com"]
    for command in (["init", "--quiet"], [*as_nobody, "commit", "--quiet", "--allow-empty", "--message", "A checkout"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    with SlackWebhook() as slack, make_twin(TwinOptions(time_scale=60, jobs="noop")) as twin:
        yield Deployer(twin, request.param, folder, slack)


@dataclass(frozen=True)
class Case:
    """How a block is followed: what must be so before, what stands in for its commands, and what must be so afterwards."""

    then: Callable[[Deployer], None]
    given: Callable[[Deployer], None] = lambda _: None
    instead: Callable[[Deployer], None] | None = None


def find_service_roles(deployer: Deployer) -> None:
    roles = deployer.twin.client("iam").list_roles(PathPrefix="/aws-service-role/")["Roles"]
    assert {role["Path"].split("/")[2] for role in roles} >= {
        f"{name}.amazonaws.com" for name in ("batch", "ecs", "spot")
    }


def keep_the_tag(deployer: Deployer) -> None:
    assert re.fullmatch(r"[0-9a-f]{7,}", deployer.run("echo $tag").strip())


def find_the_tag(deployer: Deployer) -> None:
    assert deployer.read_parameters()["ImageTag"] == deployer.run("echo $tag").strip()


def deploy(deployer: Deployer) -> None:
    deployer.stack = deployer.deploy()


def find_the_images(deployer: Deployer) -> None:
    tag, found = deployer.read_parameters()["ImageTag"], set()
    active = deployer.twin.client("batch").describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    name = deployer.read_config()["global"]["parameters"]["stack_name"]
    for definition in [it for it in active if it["jobDefinitionName"].startswith(f"{name}-")]:
        for group in definition.get("nodeProperties", {}).get("nodeRangeProperties", [definition]):
            found.add((group.get("container") or group["containerProperties"])["image"].rsplit("/", 1)[-1])
    assert found == {f"spotline-{job}:{tag}" for job in JOBS}


def deploy_with_reserved_capacity(deployer: Deployer) -> None:
    """Add the document's lines to samconfig.toml. The twin cannot update an environment, so a stack of its own is made."""
    config, original = deployer.folder / "samconfig.toml", (deployer.folder / "samconfig.toml").read_text()
    [lines] = re.findall(r"^```toml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    if deployer.environment == "trial":  # Capacity Blocks are for P instances; the text names the other kind
        lines = lines.replace("capacity-block", "on-demand")
    begun = original.index("parameter_overrides = [\n", original.index(f"[{deployer.environment}.deploy.parameters]"))
    listed = begun + len("parameter_overrides = [\n")
    config.write_text(original[:listed] + lines + original[listed:])
    deployer.deploy("reserved")
    config.write_text(original)


def find_the_reservation(deployer: Deployer) -> None:
    ec2 = deployer.twin.client("ec2")
    templates = ec2.describe_launch_templates()["LaunchTemplates"]
    versions = [
        ec2.describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"])["LaunchTemplateVersions"]
        for template in templates
    ]
    targets = [
        version["LaunchTemplateData"].get("CapacityReservationSpecification", {}).get("CapacityReservationTarget")
        for found in versions
        for version in found
    ]
    assert {"CapacityReservationId": "cr-0123456789abcdef0"} in targets


def succeed(deployer: Deployer) -> None:
    steps, machine = deployer.twin.client("stepfunctions"), deployer.outputs["StateMachineArn"]
    wait_for(lambda: steps.list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED")["executions"], 120)
    secret = deployer.twin.client("secretsmanager").get_secret_value(SecretId=deployer.outputs["SlackWebhookSecret"])
    assert secret["SecretString"] == deployer.slack.url
    assert not (deployer.folder / "webhook.txt").exists()


def release(deployer: Deployer) -> None:
    """A new commit's images, then the same deployment again."""
    config = deployer.folder / "samconfig.toml"
    config.write_text(config.read_text().replace(f"ImageTag={deployer.read_parameters()['ImageTag']}", "ImageTag=next"))


def note_what_stays(deployer: Deployer) -> None:
    noted = deployer.run("echo $buckets $table").split()
    assert noted == [
        deployer.outputs[name] for name in ("IngestBucket", "IntermediateBucket", "ResultsBucket", "RunsTable")
    ]


def expire_all(deployer: Deployer) -> None:
    for bucket in deployer.run("echo $buckets").split():
        rules = deployer.twin.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert [(rule["ID"], rule["Status"]) for rule in rules] == [("all", "Enabled"), ("markers", "Enabled")]


def let_days_pass(deployer: Deployer) -> None:
    for bucket in deployer.run("echo $buckets").split():
        empty(deployer, bucket)


def empty(deployer: Deployer, bucket: str) -> None:
    s3 = deployer.twin.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for item in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
            s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])


def have_no_data(deployer: Deployer) -> None:
    left = {bucket["Name"] for bucket in deployer.twin.client("s3").list_buckets()["Buckets"]}
    assert left.isdisjoint(deployer.run("echo $buckets").split())
    assert deployer.outputs["RunsTable"] not in deployer.twin.client("dynamodb").list_tables()["TableNames"]


def have_no_layer(deployer: Deployer) -> None:
    assert deployer.twin.client("lambda").list_layer_versions(LayerName="SpotlineLayer")["LayerVersions"] == []


def upload_archives(deployer: Deployer) -> None:
    """The bucket of the images' stack, which is not here, with two archives and a deletion."""
    s3 = deployer.twin.client("s3")
    s3.create_bucket(Bucket="sources")
    s3.put_bucket_versioning(Bucket="sources", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket="sources", Key="source.zip", Body=body)
    s3.delete_object(Bucket="sources", Key="source.zip")
    deployer.run("image() { [ $1 = SourceBucket ] && echo sources; }")


def have_no_archives(deployer: Deployer) -> None:
    deployer.twin.client("s3").delete_bucket(Bucket="sources")  # S3 refuses it while a version or a marker is there


def create_repositories(deployer: Deployer) -> None:
    for job in JOBS:
        deployer.twin.client("ecr").create_repository(repositoryName=f"spotline-{job}")


def have_no_repositories(deployer: Deployer) -> None:
    assert deployer.twin.client("ecr").describe_repositories()["repositories"] == []


CASES: dict[Block, Case] = {
    ("Once per account", 0): Case(find_service_roles),
    ("Images", 1): Case(keep_the_tag),
    ("Images", 4): Case(find_the_tag),
    ("Deploy", 0): Case(find_the_images, instead=deploy),
    ("Deploy", 1): Case(find_the_reservation, instead=deploy_with_reserved_capacity),
    ("The first run", 0): Case(succeed),
    ("Upgrade and roll back", 0): Case(find_the_images, given=release, instead=deploy),
    ("Tear down", 0): Case(note_what_stays),
    ("Tear down", 2): Case(expire_all),
    ("Tear down", 3): Case(have_no_data, given=let_days_pass),
    ("Tear down", 4): Case(have_no_layer),
    ("Tear down", 5): Case(have_no_archives, given=upload_archives),
    ("Tear down", 7): Case(have_no_repositories, given=create_repositories),
}


def test_every_block_of_the_document_is_run_or_named_with_a_reason() -> None:
    assert set(CASES).isdisjoint(NOT_HERE)
    assert set(BLOCKS) == set(CASES) | set(NOT_HERE)
    assert list(CASES) == [block for block in BLOCKS if block in CASES]  # they are run in this order


def test_every_fence_says_what_is_in_it() -> None:
    """A block of commands without its language would be in no list."""
    fences = re.findall(r"^ *```(.*)$", DOCUMENT, re.MULTILINE)
    assert set(fences[::2]) <= {"sh", "json", "toml"}
    assert set(fences[1::2]) == {""}


@pytest.mark.parametrize("block", NOT_HERE, ids=lambda block: f"{block[0]} {block[1] + 1}")
def test_a_step_that_only_an_account_can_take_is_named_where_the_document_lists_them(block: Block) -> None:
    [section] = re.findall(r"^## What could not be proved without an account$.*", DOCUMENT, re.MULTILINE | re.DOTALL)
    for command in NOT_HERE[block].commands:
        assert command in BLOCKS[block]
        assert f"`{command}" in section


@pytest.mark.parametrize("block", [block for block, case in CASES.items() if case.instead])
def test_only_sam_has_a_stand_in(block: Block) -> None:
    assert {line.split()[0] for line in BLOCKS[block].splitlines()} == {"sam"}


@pytest.mark.parametrize("block", CASES, ids=lambda block: f"{block[0]} {block[1] + 1}")
def test_the_commands_do_what_the_document_says(deployer: Deployer, block: Block) -> None:
    case = CASES[block]
    case.given(deployer)
    if case.instead is None:
        deployer.run(BLOCKS[block])
    else:
        case.instead(deployer)
    case.then(deployer)
