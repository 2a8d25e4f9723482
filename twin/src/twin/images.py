"""From a container image's address to the program that stands in for it.

There is no container runtime here. An image stands for a folder with a Dockerfile: of that, ENTRYPOINT, CMD and ENV count; the
rest made the image, and its work is done by the Python environment that the twin runs in. Which folder that is, the caller of
the twin says, by a function from an image's address to an `Image`; `FolderImages` and `MappedImages` are two.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HARMFUL_VARIABLES = frozenset({"PATH", "HOME", "TMPDIR", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})
_PYTHONS = frozenset({"python", "python3"})


class ImageNotFound(Exception):
    """Nothing stands in for this image; the message is the reason ECS would give.

    Parameters
    ----------
    address
        The image.
    remedy
        What the twin would have run, and what there is.
    """

    def __init__(self, address: str, remedy: str) -> None:
        super().__init__(
            f"CannotPullContainerError: Error response from daemon: pull access denied for {address}, repository does "
            f"not exist or may require 'docker login' ({remedy})"
        )


class ImageUnusable(Exception):
    """Something stands in for the image, but its program cannot be started; the message is the reason ECS would give."""


@dataclass(frozen=True)
class Image:
    """A program that stands in for an image, with the environment its Dockerfile and its folder give it."""

    entrypoint: tuple[str, ...] = ()
    default_command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


ResolveImage = Callable[[str], Image]
"""From an image's address to what stands in for it; raises `ImageNotFound` or `ImageUnusable`."""


def refuse_image(address: str) -> Image:
    """Raise `ImageNotFound`: what a twin does that was given nothing to stand in for images."""
    raise ImageNotFound(address, "the twin was given no images: pass TwinOptions(resolve_image=...)")


@dataclass(frozen=True)
class FolderImages:
    """Images that are built from the folders of one folder, each found by the end of its repository's name.

    ``host/team/shop-worker:1.2`` is what ``<parent>/worker/Dockerfile`` or ``<parent>/shop-worker/Dockerfile`` builds.

    Parameters
    ----------
    parent
        The folder of folders.
    python_path
        Folders that each program may import from besides its own.
    """

    parent: Path
    python_path: Sequence[Path] = ()

    def __call__(self, address: str) -> Image:
        """What stands in for an image.

        Raises
        ------
        ImageNotFound
            No folder has a Dockerfile and a name in which the repository's name ends.
        ImageUnusable
            Its Dockerfile states its program in a form that needs a container.
        """
        repository = repository_name(address)
        folders = {file.parent.name: file.parent for file in sorted(self.parent.glob("*/Dockerfile"))}
        matching = [name for name in folders if repository == name or repository.endswith(f"-{name}")]
        if not matching:
            raise ImageNotFound(
                address,
                "the twin runs an image whose repository's name ends in that of a folder "
                f"{self.parent.name}/<name> with a Dockerfile; here: {', '.join(folders) or 'none'}",
            )
        return read_folder(folders[max(matching, key=len)], self.python_path)


class InvalidImages(ValueError):
    """A map of images has an entry that nothing can be run from; the message names it."""


class MappedImages:
    """Images by name, each with the folder that builds it or the command that it runs.

    Parameters
    ----------
    programs
        By an image's address, or by the last part of its repository: a folder with a Dockerfile, or a command as a list.
    project
        The folder that relative paths start from, and that a command may import from.

    Raises
    ------
    InvalidImages
        An entry is neither a folder with a Dockerfile nor a command.

    Examples
    --------
    >>> images = MappedImages({"worker": ["python", "-m", "worker"]}, Path("/shop"))
    >>> images("123456789012.dkr.ecr.us-east-1.amazonaws.com/worker:1").entrypoint
    ('python', '-m', 'worker')
    """

    def __init__(self, programs: Mapping[str, str | Sequence[str]], project: Path) -> None:
        for name, program in programs.items():
            _check_program(name, program, project)
        self._programs = dict(programs)
        self._project = project

    def __call__(self, address: str) -> Image:
        """What stands in for an image.

        Raises
        ------
        ImageNotFound
            The map has no entry for it.
        ImageUnusable
            Its Dockerfile states its program in a form that needs a container.
        """
        program = self._programs.get(address, self._programs.get(repository_name(address)))
        if program is None:
            named = ", ".join(sorted(self._programs)) or "none"
            raise ImageNotFound(address, f"the twin runs images that its map names; here: {named}")
        if isinstance(program, str):
            return read_folder(self._project / program)
        command = tuple(str(self._project / part) if (self._project / part).is_file() else part for part in program)
        return Image(command, (), {"PYTHONPATH": str(self._project)})


def _check_program(name: str, program: object, project: Path) -> None:
    if isinstance(program, str):
        if not (project / program / "Dockerfile").is_file():
            raise InvalidImages(f"the image {name}: there is no {project / program / 'Dockerfile'}")
    elif not (isinstance(program, Sequence) and program and all(isinstance(part, str) for part in program)):
        raise InvalidImages(f"the image {name} is a folder or a command, a list of texts, not {program!r}")


def repository_name(address: str) -> str:
    """The last part of an image's repository: ``shop-worker`` of ``host/team/shop-worker:1.2@sha256:…``."""
    return address.partition("@")[0].rpartition("/")[2].partition(":")[0]


def read_folder(folder: Path, python_path: Sequence[Path] = ()) -> Image:
    """The image that a folder's Dockerfile builds, with a program that imports from the folder and from `python_path`.

    Raises
    ------
    ImageUnusable
        The Dockerfile states its program in a form that needs a container.
    """
    image = parse_dockerfile((folder / "Dockerfile").read_text(encoding="utf-8"))
    imported = os.pathsep.join(str(path) for path in (folder, *python_path) if path.is_dir())
    return Image(image.entrypoint, image.default_command, {**image.environment, "PYTHONPATH": imported})


def parse_dockerfile(text: str) -> Image:
    """ENTRYPOINT, CMD and ENV of a Dockerfile's last stage, with what it inherits from the stage that it is built on.

    Variables that say where things are inside the image (``PATH``, ``PYTHONPATH``…) are left out: they are true only
    there. So are values that refer to other variables.

    Raises
    ------
    ImageUnusable
        ENTRYPOINT or CMD is in shell form, which wraps the program in a shell of the image.
    """
    stages: dict[str, Image] = {}
    image, name = Image(), ""
    for instruction, rest in _instructions(text):
        if instruction == "FROM":
            stages[name] = image
            base, name = _stage(rest)
            image = stages.get(base, Image())
        elif instruction == "ENTRYPOINT":
            image = Image(_exec_form(instruction, rest), image.default_command, image.environment)
        elif instruction == "CMD":
            image = Image(image.entrypoint, _exec_form(instruction, rest), image.environment)
        elif instruction == "ENV":
            image = Image(image.entrypoint, image.default_command, {**image.environment, **_variables(rest)})
    return image


def _stage(rest: str) -> tuple[str, str]:
    """The base and the name of a stage: ``FROM base AS name``, with flags such as ``--platform`` left out. Names ignore case."""
    words = [word for word in rest.split() if not word.startswith("--")]
    name = words[2].lower() if len(words) == 3 and words[1].upper() == "AS" else ""
    return (words[0].lower() if words else ""), name


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\[ \t]*\n", " ", "\n".join(lines))
    found = []
    for line in joined.splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction:
            found.append((instruction.upper(), rest.strip()))
    return found


def _exec_form(instruction: str, rest: str) -> tuple[str, ...]:
    try:
        parts = json.loads(rest)
    except ValueError:
        parts = None
    if not isinstance(parts, list):
        raise ImageUnusable(
            f"CannotStartContainerError: the twin runs {instruction} in exec form only, "
            f'such as ["python", "-m", "worker"], not: {rest}'
        )
    return tuple(str(part) for part in parts)


def _variables(rest: str) -> dict[str, str]:
    if "=" not in rest.partition(" ")[0]:  # the old form: ENV NAME value
        name, _, value = rest.partition(" ")
        pairs = {name: value.strip()}
    else:
        pairs = dict(part.split("=", 1) for part in shlex.split(rest) if "=" in part)
    return {name: value for name, value in pairs.items() if name not in _HARMFUL_VARIABLES and "$" not in value}


def program(image: Image, command: Sequence[str], search_path: str) -> list[str]:
    """What to execute: the image's entry point with `command`, or with the image's own command when there is none.

    Raises
    ------
    ImageUnusable
        There is nothing to execute, or this machine does not have it.
    """
    argv = [*image.entrypoint, *(command or image.default_command)]
    if not argv:
        raise ImageUnusable("CannotStartContainerError: Error response from daemon: no command specified")
    if argv[0] in _PYTHONS:
        return [sys.executable, *argv[1:]]
    executable = shutil.which(argv[0], path=search_path)
    if executable is None:
        raise ImageUnusable(
            "CannotStartContainerError: Error response from daemon: failed to create task for container: exec: "
            f'"{argv[0]}": executable file not found in $PATH'
        )
    return [executable, *argv[1:]]
