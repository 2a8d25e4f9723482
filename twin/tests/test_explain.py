"""`twin up --explain` says what of a template is modelled, accepted and refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twin.explain import explain_stack

if TYPE_CHECKING:
    from pathlib import Path

    from twin import Twin

pytestmark = pytest.mark.ours


def test_every_resource_is_either_modelled_or_accepted_with_its_reason(twin: Twin, small_template: Path) -> None:
    stack = twin.deploy(small_template, stack_name="explained")
    lines = list(explain_stack(stack))
    heads = [number for number, line in enumerate(lines) if not line.startswith(" ")]
    assert [lines[number].split(":")[0] for number in heads] == ["modelled", "accepted", "refused"]
    modelled, accepted, refused = (
        "\n".join(lines[start:end]) for start, end in zip(heads, [*heads[1:], len(lines)], strict=True)
    )
    for logical_id, resource in stack.resources.items():
        if any(item.logical_id == logical_id and not item.what for item in stack.accepted):
            assert f"  {logical_id} ({resource.kind}): " in accepted
        else:
            [named] = [line for line in modelled.splitlines() if line.startswith(f"  {resource.kind}: ")]
            assert logical_id in named.split(": ", 1)[1].split(", ")
    assert all(item.because in accepted for item in stack.accepted)
    assert "AWS::S3::Bucket" in refused
