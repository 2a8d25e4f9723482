"""Rules about where images come from: the repositories, and the build that fills them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.template.rules.jobs import container
from tests.template.rules.sources import Choice, Page, rests_on
from tests.template.system import ROOT, System

if TYPE_CHECKING:
    from collections.abc import Iterator

_BASE = re.compile(r"^ARG BASE=(\S+)$", re.MULTILINE)


@rests_on(
    Page(
        "ECR User Guide",
        "Preventing image tags from being overwritten",
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html",
    ),
    Choice("a deployed tag must name the same image after a rollback; a repository must not grow for ever"),
)
def repositories_keep_what_a_tag_names(system: System) -> Iterator[str]:
    """A tag is pushed once, each image is scanned, and what is old is removed."""
    for repository in system.all("AWS::ECR::Repository"):
        if repository.properties.get("ImageTagMutability") != "IMMUTABLE":
            yield f"{repository.path}: its tags can be moved"
        if repository.properties.get("ImageScanningConfiguration") != {"ScanOnPush": True}:
            yield f"{repository.path}: nobody scans its images"
        policy = json.loads(
            repository.properties.get("LifecyclePolicy", {}).get("LifecyclePolicyText", '{"rules": []}')
        )
        if not any(rule["action"]["type"] == "expire" for rule in policy["rules"]):
            yield f"{repository.path} grows for ever"


@rests_on(
    Page(
        "CodeBuild User Guide",
        "Docker in a custom build image: a build that runs Docker needs privileged mode",
        "https://docs.aws.amazon.com/codebuild/latest/userguide/sample-docker.html",
    ),
    Choice(
        "what CodeBuild builds is what the Dockerfiles and the jobs' definitions name, for the instances' processors"
    ),
)
def every_job_s_image_is_built(system: System) -> Iterator[str]:
    """Each image that a definition takes by default has a repository, is built there, from its Dockerfile's own base."""
    repositories = {repository.properties["RepositoryName"] for repository in system.all("AWS::ECR::Repository")}
    (project,) = system.all("AWS::CodeBuild::Project")
    environment = project.properties["Environment"]
    if environment["Type"] != "LINUX_CONTAINER" or "x86_64" not in environment["Image"]:
        yield f"{project.path} builds for {environment['Type']}, {environment['Image']}"
    if environment.get("PrivilegedMode") is not True:
        yield f"{project.path} cannot run Docker"
    variables = {variable["Name"]: variable["Value"] for variable in environment["EnvironmentVariables"]}
    for definition in system.all("AWS::Batch::JobDefinition"):
        registry, _, name = container(definition)["Image"].partition("/")
        repository = name.partition(":")[0]
        job = repository.removeprefix("spotline-")
        if repository not in repositories:
            yield f"{definition.path} takes {name}, for which there is no repository"
        if not re.search(rf"for job in .*\b{job}\b.*; do", project.properties["Source"]["BuildSpec"]):
            yield f"nothing builds {repository}"
        if registry != variables["REGISTRY"]:
            yield f"{definition.path} pulls from {registry}, the build pushes to {variables['REGISTRY']}"
        base = _BASE.findall((ROOT / "jobs" / job / "Dockerfile").read_text())[0]
        if not variables[f"BASE_OF_{job.upper()}"].endswith(f"/{base}"):
            yield f"{repository} is built on {variables[f'BASE_OF_{job.upper()}']}, its Dockerfile names {base}"


RULES = (repositories_keep_what_a_tag_names, every_job_s_image_is_built)
