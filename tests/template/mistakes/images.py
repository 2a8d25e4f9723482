"""Mistakes in the images' repositories and their build."""

from __future__ import annotations

from tests.template.mistakes.planting import IMAGES, Mistake

MISTAKES = {
    "a tag that can be moved": Mistake(
        "repositories_keep_what_a_tag_names", IMAGES, "      ImageTagMutability: IMMUTABLE\n", ""
    ),
    "images that nobody scans": Mistake(
        "repositories_keep_what_a_tag_names", IMAGES, "{ScanOnPush: true}", "{ScanOnPush: false}"
    ),
    "a repository that grows for ever": Mistake(
        "repositories_keep_what_a_tag_names", IMAGES, "      LifecyclePolicy: *lifecycle\n", ""
    ),
    "a job without a repository": Mistake(
        "every_job_s_image_is_built", IMAGES, "RepositoryName: spotline-analysis", "RepositoryName: analysis"
    ),
    "a job that nothing builds": Mistake(
        "every_job_s_image_is_built",
        IMAGES,
        "for job in preprocess analysis postprocess",
        "for job in preprocess postprocess",
    ),
    "a build without Docker": Mistake(
        "every_job_s_image_is_built", IMAGES, "PrivilegedMode: true", "PrivilegedMode: false"
    ),
    "images for other processors": Mistake(
        "every_job_s_image_is_built", IMAGES, "amazonlinux-x86_64-standard:5.0", "amazonlinux-aarch64-standard:3.0"
    ),
    "a base that the Dockerfile does not name": Mistake(
        "every_job_s_image_is_built", IMAGES, "library/python:3.13-slim-bookworm", "library/python:3.12-slim-bookworm"
    ),
}
