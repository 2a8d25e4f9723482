"""`twin up --explain`: what of the template is modelled, what is accepted without effect, and what would be refused."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from twin.deployment.resource import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twin.deployment import Stack


def explain_stack(stack: Stack) -> Iterator[str]:
    """The lines of the explanation; a line that is not indented begins a part."""
    without_effect = {item.logical_id for item in stack.accepted if not item.what}
    modelled: dict[str, list[str]] = defaultdict(list)
    for logical_id, resource in stack.resources.items():
        if logical_id not in without_effect:
            modelled[resource.kind].append(logical_id)
    yield f"modelled: {sum(map(len, modelled.values()))} resources, made and alive"
    for kind, logical_ids in sorted(modelled.items()):
        yield f"  {kind}: {', '.join(logical_ids)}"
    yield f"accepted: {len(stack.accepted)} things that have no effect here"
    for item in stack.accepted:
        what = f".{item.what}" if item.what else ""
        yield f"  {item.logical_id}{what} ({item.kind}): {item.because}"
    yield "refused: nothing of this template; it would not have been deployed, and the error would have named"
    yield from _indented(_REFUSED)
    yield f"  - a resource type other than {', '.join(sorted(CATALOGUE))}"


_REFUSED = (
    "- a property that is neither modelled nor accepted, an unknown intrinsic function or transform, a parameter out of bounds",
    "- a state machine that is no Standard workflow in JSONPath, an integration other than aws-sdk, lambda:invoke and batch:submitJob",
    "- a rule's target, pattern operator or schedule that nothing here would deliver, match or keep",
    "- a condition of a policy on what no request here says, such as a resource's tags",
    "- when a job starts: an image that nothing stands in for, or one with an ENTRYPOINT in shell form",
)


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
