"""What moto's JSONPath gets wrong: a path that can name one value only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from moto.stepfunctions.parser.asl.utils import json_path

from twin.patches import replace

if TYPE_CHECKING:
    from collections.abc import Callable

# What may name several values: a wildcard, a slice, a list of indices, a filter, a recursive descent.
_SEVERAL = re.compile(r"\*|\[[^\]'\"]*[:,?][^\]]*\]|\.\.")


def one_value_for_a_reference_path() -> None:
    """moto answers `$.Versions[0].VersionId` with a list of one, so that no comparison of a Choice ever holds.

    A path without wildcard, slice, list, filter or descent is a Reference Path and identifies a single node ("Reference
    paths", Amazon States Language specification).
    """

    def make(_: Callable[[str], bool]) -> Callable[[str], bool]:
        def is_reference_path(path: str) -> bool:
            return not _SEVERAL.search(path)

        return is_reference_path

    replace(json_path, "_is_singleton_array_access", make)
