"""What a container runs with: a job definition's properties under a submission's overrides, as pure functions.

Source: AWS Batch API Reference, SubmitJob, ContainerOverrides, NodeOverrides and NodeRangeProperty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.compute.resources import Resources, requested

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_LOG_GROUP = "/aws/batch/job"
_PLACEHOLDER = re.compile(r"Ref::([A-Za-z0-9_-]+)")


@dataclass(frozen=True)
class ContainerSpec:
    """A container as it will run; `properties` are the merged ``containerProperties``, as DescribeJobs shows them."""

    properties: Mapping[str, Any]
    resources: Resources

    @property
    def image(self) -> str:
        """The image's address."""
        return str(self.properties.get("image", ""))

    @property
    def command(self) -> tuple[str, ...]:
        """The command, with parameters put in."""
        return tuple(self.properties.get("command") or ())

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the definition and of the overrides."""
        return index_by_name(self.properties.get("environment"))

    @property
    def job_role(self) -> str | None:
        """ARN of the role that the container acts as."""
        return self.properties.get("jobRoleArn")

    @property
    def has_init(self) -> bool:
        """Whether an init process runs above the program, and passes signals on to it."""
        return bool((self.properties.get("linuxParameters") or {}).get("initProcessEnabled"))

    @property
    def logs_to_cloudwatch(self) -> bool:
        """Whether the log driver is ``awslogs``, which it is unless the definition names another."""
        return bool(self._log_configuration.get("logDriver", "awslogs") == "awslogs")

    @property
    def log_group(self) -> str:
        """The log group that the container writes to."""
        return str(self._log_options.get("awslogs-group", DEFAULT_LOG_GROUP))

    @property
    def creates_log_group(self) -> bool:
        """Whether the log group is made when it is missing: Batch's own always is, another only when asked for."""
        asked = str(self._log_options.get("awslogs-create-group", "false")).lower() == "true"
        return asked or self.log_group == DEFAULT_LOG_GROUP

    @property
    def log_prefix(self) -> str | None:
        """What the names of log streams begin with, when it is not the job definition's name."""
        return self._log_options.get("awslogs-stream-prefix")

    @property
    def _log_configuration(self) -> Mapping[str, Any]:
        return self.properties.get("logConfiguration") or {}

    @property
    def _log_options(self) -> Mapping[str, str]:
        return self._log_configuration.get("options") or {}


def index_by_name(pairs: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    """``[{"name": …, "value": …}]`` as a dict; a pair without a value counts for nothing."""
    return {pair["name"]: pair["value"] for pair in pairs or () if "value" in pair}


def container_spec(
    properties: Mapping[str, Any], overrides: Mapping[str, Any] | None, parameters: Mapping[str, str]
) -> ContainerSpec:
    """A definition's ``containerProperties`` with ``containerOverrides`` over them and ``Ref::`` parameters put in.

    A command replaces the definition's; environment variables replace those of the same name, resource requirements
    those of the same type; everything else is the definition's.
    """
    overrides = overrides or {}
    merged = dict(properties)
    command = overrides.get("command") or properties.get("command") or []
    merged["command"] = [substitute(part, parameters) for part in command]
    environment = index_by_name(properties.get("environment")) | index_by_name(overrides.get("environment"))
    merged["environment"] = [{"name": name, "value": value} for name, value in environment.items()]
    merged["resourceRequirements"] = _merged_requirements(properties, overrides)
    for deprecated in ("vcpus", "memory"):
        merged.pop(deprecated, None)
    if overrides.get("instanceType"):
        merged["instanceType"] = overrides["instanceType"]
    return ContainerSpec(properties=merged, resources=requested(merged))


def _merged_requirements(properties: Mapping[str, Any], overrides: Mapping[str, Any]) -> list[dict[str, str]]:
    """Resource requirements by type. A deprecated ``vcpus`` or ``memory`` never wins over a stated requirement."""
    asked: dict[str, str] = {}
    stated = {item["type"] for item in properties.get("resourceRequirements") or ()}
    for source in (properties, overrides):
        for kind, deprecated in (("VCPU", "vcpus"), ("MEMORY", "memory")):
            if source.get(deprecated) and kind not in stated:
                asked[kind] = str(source[deprecated])
        asked.update({item["type"]: str(item["value"]) for item in source.get("resourceRequirements") or ()})
    return [{"type": kind, "value": value} for kind, value in asked.items()]


def substitute(text: str, parameters: Mapping[str, str]) -> str:
    """`text` with each ``Ref::name`` replaced by that parameter; one without a value stays as it is written."""
    return _PLACEHOLDER.sub(lambda found: parameters.get(found[1], found[0]), text)


def node_specs(
    properties: Mapping[str, Any], overrides: Mapping[str, Any] | None, parameters: Mapping[str, str]
) -> tuple[ContainerSpec, ...]:
    """The container of each node of a multi-node job, in the order of the nodes."""
    overrides = overrides or {}
    count = node_count(properties, overrides)
    ranges = properties["nodeRangeProperties"]
    changes = overrides.get("nodePropertyOverrides") or []
    return tuple(
        container_spec(
            find_range(ranges, node, count)["container"],
            find_range(changes, node, count).get("containerOverrides"),
            parameters,
        )
        for node in range(count)
    )


def node_count(properties: Mapping[str, Any], overrides: Mapping[str, Any] | None) -> int:
    """How many nodes a multi-node job has: the override's number, or the definition's."""
    return int((overrides or {}).get("numNodes") or properties["numNodes"])


def find_range(ranges: Sequence[Mapping[str, Any]], node: int, count: int) -> Mapping[str, Any]:
    """The entry of `ranges` that is about `node`: of nested ranges the narrowest; ``{}`` when none is."""
    holding = [entry for entry in ranges if node in target_nodes(entry["targetNodes"], count)]
    return min(holding, key=lambda entry: len(target_nodes(entry["targetNodes"], count)), default={})


def target_nodes(target: str, count: int) -> range:
    """The nodes that ``targetNodes`` means (``"0"``, ``"1:3"``, ``"1:"``, ``":2"``) in a job of `count` nodes."""
    first, colon, last = str(target).partition(":")
    start = int(first) if first else 0
    if not colon:
        return range(start, start + 1)
    return range(start, (int(last) if last else count - 1) + 1)
