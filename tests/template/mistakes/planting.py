"""What a mistake is, and how it is planted in a copy of the templates."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.template.system import read_texts

NETWORK, COMPUTE, JOBS, OBSERVABILITY, IMAGES = (
    f"infrastructure/{name}.yaml" for name in ("network", "compute", "jobs", "observability", "images")
)


@dataclass(frozen=True)
class Mistake:
    """Something that a hurried hand, or a published template, gets wrong: `right` in a file becomes `wrong`."""

    rule: str
    file: str
    right: str
    wrong: str
    parameters: dict[str, str] = field(default_factory=dict)
    every: bool = False

    def planted(self) -> dict[str, str]:
        texts = read_texts()
        assert texts[self.file].count(self.right) >= 1, f"{self.right!r} is not in {self.file} any more"
        texts[self.file] = texts[self.file].replace(self.right, self.wrong, -1 if self.every else 1)
        return texts
