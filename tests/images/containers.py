"""Images built and run with Docker, as Batch runs them: each container gets what its job definition says."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from tests.template.system import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

BASE = os.environ.get("IMAGES_BASE", "")
"""An image to build on in the place of the Dockerfiles' own bases."""
BUILD_SECONDS, RUN_SECONDS = 1800, 300


def docker(*arguments: str, seconds: float = RUN_SECONDS) -> str:
    """What a docker command prints; it must succeed."""
    done = subprocess.run(
        ["docker", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=seconds
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def need_docker() -> None:
    """Skip where no Docker answers."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    asked = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False, timeout=60)
    if asked.returncode:
        pytest.skip(f"no Docker daemon answers: {asked.stderr.strip()}")


def build(dockerfile: Path) -> str:
    """Build an image from the repository's root; returns its name. Skips where its base cannot be had."""
    text = dockerfile.read_text()
    own = re.search(r"^ARG BASE=(\S+)", text, re.MULTILINE)
    assert own, f"{dockerfile} does not take its base from the argument BASE"
    base = BASE or own[1]
    need_image(base)
    name = f"spotline-test-{dockerfile.parent.name.replace('_', '-')}"
    # The host's network, since a daemon without a bridge of its own has no other that reaches a registry of packages.
    arguments = ["--network", "host", "--build-arg", f"BASE={base}", "--file", str(dockerfile), "--tag", name, "."]
    docker("build", *arguments, seconds=BUILD_SECONDS)
    return name


def need_image(name: str) -> None:
    """Skip where an image is neither here nor to be pulled."""
    held = subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False, timeout=60)
    if held.returncode == 0:
        return
    pulled = subprocess.run(
        ["docker", "pull", name], capture_output=True, text=True, check=False, timeout=BUILD_SECONDS
    )
    if pulled.returncode:
        pytest.skip(
            f"the image {name} cannot be pulled ({' '.join(pulled.stderr.split())[:200]}): make a substitute with"
            " tests/images/make_base.sh and name it in IMAGES_BASE"
        )


def flags(image: str, container: Mapping[str, Any]) -> list[str]:
    """A job definition's container properties as `docker run` takes them.

    What a plain machine cannot offer is left out: GPUs and EFA's devices, the log driver, the reserved memory, and limits that its
    own daemon may not raise.
    """
    options = ["--read-only"] if container["ReadonlyRootFilesystem"] else []
    for point in container["MountPoints"]:
        options += [
            "--volume",
            point["ContainerPath"],
        ]  # an unnamed volume, as ECS makes it of a volume without a host's path
    for limit in container.get("Ulimits", []):
        options += _limit(image, f"{limit['Name']}={limit['SoftLimit']}:{limit['HardLimit']}")
    linux = container["LinuxParameters"]
    if linux.get("InitProcessEnabled"):
        options.append("--init")
    if "SharedMemorySize" in linux:
        options += ["--shm-size", f"{linux['SharedMemorySize']}m"]
    return options


@cache
def _limit(image: str, limit: str) -> list[str]:
    """The flag for a limit, or none where the daemon lacks the capability to set it (CAP_SYS_RESOURCE)."""
    flag = ["--ulimit", limit]
    probe = subprocess.run(
        ["docker", "run", "--rm", *flag, "--entrypoint", "python", image, "-c", ""],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return [] if "setting rlimit" in probe.stderr else flag


@dataclass(frozen=True)
class Container:
    """A container that was started and is waited for."""

    name: str
    process: subprocess.Popen[str]

    def ended(self, seconds: float = RUN_SECONDS) -> tuple[int, str]:
        """Its exit code, and what it said."""
        said, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, said


@contextlib.contextmanager
def started(
    image: str, definition: Mapping[str, Any], environments: Sequence[Mapping[str, str]]
) -> Iterator[list[Container]]:
    """A container for each environment, added to what the definition says, on the host's network as Batch's container jobs on EC2 are; gone after the block."""
    containers = []
    try:
        defined = {item["Name"]: str(item["Value"]) for item in definition["Environment"]}
        for environ in environments:
            name = f"spotline-test-{uuid.uuid4().hex[:12]}"
            variables = [word for item in {**defined, **environ}.items() for word in ("--env", "=".join(item))]
            command = [
                "docker",
                "run",
                "--rm",
                "--name",
                name,
                "--network",
                "host",
                *flags(image, definition),
                *variables,
                image,
            ]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            containers.append(Container(name, process))
        yield containers
    finally:
        for container in containers:
            if container.process.poll() is None:
                subprocess.run(
                    ["docker", "rm", "--force", container.name], capture_output=True, check=False, timeout=60
                )
            container.process.communicate(timeout=60)


def run(image: str, definition: Mapping[str, Any], *environments: Mapping[str, str]) -> list[tuple[int, str]]:
    """Exit code and output of each container."""
    with started(image, definition, environments) as containers:
        return [container.ended() for container in containers]
