"""What stands in for the images that the template names."""

from __future__ import annotations

import pytest

from cli.deployment import IMAGES
from cli.project import JOBS, LAYER
from twin.images import ImageNotFound


@pytest.mark.parametrize("job", ["preprocess", "analysis", "postprocess"])
def test_the_folder_of_a_job_stands_in_for_its_image_and_imports_the_layer(job: str) -> None:
    image = IMAGES(f"123456789012.dkr.ecr.us-east-1.amazonaws.com/spotline-{job}:1.2")
    assert image.entrypoint == ("python", "-m", job)
    assert image.environment["PYTHONPATH"].split(":") == [str(JOBS / job), str(LAYER)]


def test_another_image_is_not_found_and_the_jobs_are_named() -> None:
    with pytest.raises(ImageNotFound, match=r"nginx.*jobs/<name>.*analysis, postprocess, preprocess"):
        IMAGES("public.ecr.aws/nginx:latest")
