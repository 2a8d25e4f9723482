"""From an image's address to the program that stands in for it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from twin.images import (
    FolderImages,
    Image,
    ImageNotFound,
    ImageUnusable,
    parse_dockerfile,
    program,
    refuse_image,
    repository_name,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.ours

DOCKERFILE = """\
# syntax=docker/dockerfile:1
FROM python:3.13 AS build
ENTRYPOINT ["build"]
ENV ONLY_IN_BUILD=1
FROM python:3.13-slim
ENV LOG_LEVEL=INFO NAME="two words" \\
    PATH=/opt/bin:$PATH
ENV OLD form of it
ENV HERE=$OTHER
COPY report /app/report
ENTRYPOINT ["python", "-m", "report"]
CMD ["--help"]
"""


@pytest.fixture
def images(tmp_path: Path) -> FolderImages:
    for name in ("report", "load", "download"):
        (tmp_path / "programs" / name).mkdir(parents=True)
        (tmp_path / "programs" / name / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "shared").mkdir()
    return FolderImages(tmp_path / "programs", python_path=(tmp_path / "shared", tmp_path / "missing"))


@pytest.mark.parametrize(
    "address",
    [
        "shop-report",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop-report:1.2",
        "localhost:5000/team/shop-report:1.2@sha256:0123",
    ],
)
def test_an_image_is_known_by_its_repository_s_name(address: str, images: FolderImages) -> None:
    assert repository_name(address) == "shop-report"
    assert images(address).environment["PYTHONPATH"].split(":") == [
        str(images.parent / "report"),
        str(images.parent.parent / "shared"),
    ]


def test_the_folder_with_the_longest_matching_name_is_meant(tmp_path: Path) -> None:
    for name in ("load", "up-load"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(DOCKERFILE)
    assert FolderImages(tmp_path)("x-up-load").environment["PYTHONPATH"] == str(tmp_path / "up-load")


def test_an_unknown_image_fails_as_a_pull_does_and_says_which_there_are(images: FolderImages) -> None:
    with pytest.raises(ImageNotFound, match=r"^CannotPullContainerError: .*nginx.*download, load, report"):
        images("public.ecr.aws/nginx:latest")


def test_a_twin_that_was_given_no_images_says_so() -> None:
    with pytest.raises(ImageNotFound, match=r"^CannotPullContainerError: .*nginx.*resolve_image"):
        refuse_image("public.ecr.aws/nginx:latest")


def test_the_last_stage_counts_and_variables_that_are_true_only_in_the_image_do_not() -> None:
    image = parse_dockerfile(DOCKERFILE)
    assert image.entrypoint == ("python", "-m", "report")
    assert image.default_command == ("--help",)
    assert image.environment == {"LOG_LEVEL": "INFO", "NAME": "two words", "OLD": "form of it"}


def test_a_stage_has_the_program_of_the_stage_that_it_is_built_on() -> None:
    """The next stage picks up where the one that it names left off (Docker's manual, "Multi-stage builds")."""
    text = """
    FROM nvidia/cuda AS Plain
    ENV A=1 B=1
    ENTRYPOINT ["python", "-m", "report"]
    FROM plain AS efa
    ENV B=2
    CMD ["--efa"]
    FROM --platform=linux/amd64 plain
    ENV C=3
    """

    assert parse_dockerfile(text) == Image(("python", "-m", "report"), (), {"A": "1", "B": "1", "C": "3"})


def test_a_shell_form_entry_point_is_refused_with_the_way_out() -> None:
    with pytest.raises(ImageUnusable, match="exec form"):
        parse_dockerfile("FROM x\nENTRYPOINT python -m report\n")


def test_python_is_the_project_s_own_and_a_command_replaces_the_image_s() -> None:
    image = parse_dockerfile(DOCKERFILE)
    assert program(image, [], "/bin") == [sys.executable, "-m", "report", "--help"]
    assert program(image, ["--fast"], "/bin") == [sys.executable, "-m", "report", "--fast"]


def test_what_cannot_be_executed_is_a_start_failure() -> None:
    with pytest.raises(ImageUnusable, match=r"CannotStartContainerError.*no-such-program"):
        program(Image(), ["no-such-program"], "/bin")
    with pytest.raises(ImageUnusable, match="no command"):
        program(Image(), [], "/bin")
