"""A gang without GPUs asks Batch for none, and for nothing that only GPUs use."""

from __future__ import annotations

from tests.template.rules.jobs import container, gangs, resources_of
from tests.template.system import PROD, load


def test_a_member_without_gpus_asks_for_none() -> None:
    for definition, _ in gangs(load({"GangInstanceType": "c7i.large"})):
        assert set(resources_of(definition)) == {"VCPU", "MEMORY"}
        assert "SharedMemorySize" not in container(definition)["LinuxParameters"]


def test_a_member_with_gpus_asks_for_them_and_for_shared_memory_between_them() -> None:
    for definition, _ in gangs(load(PROD)):
        assert resources_of(definition)["GPU"] == 8
        assert int(container(definition)["LinuxParameters"]["SharedMemorySize"]) == 8192
