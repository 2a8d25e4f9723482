"""Addresses and Spot notices, from metadata services on this machine."""

import json
from collections.abc import Iterator

import pytest

from analysis import instance
from analysis.conformance.members import MetadataService, serve_metadata
from analysis.instance import InstanceMetadata, MetadataUnavailable, find_own_address, read_container_address
from analysis.membership import Formation, Member
from spotline.settings import SettingsError


@pytest.fixture
def service() -> Iterator[MetadataService]:
    with serve_metadata() as server:
        yield server


def array_member(index: int = 0) -> Member:
    return Member(index, 2, "job", Formation.ARRAY)


def test_in_an_array_the_address_is_the_instances(service: MetadataService) -> None:
    service.items["local-ipv4"] = "10.0.0.5"
    assert find_own_address(array_member(), {"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url}) == "10.0.0.5"


def test_in_a_multi_node_job_the_address_is_the_containers(service: MetadataService) -> None:
    service.items["/v4/task"] = json.dumps({"Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.9.9"]}]})
    node = Member(0, 2, "job", Formation.MULTI_NODE)
    assert find_own_address(node, {"ECS_CONTAINER_METADATA_URI_V4": f"{service.url}/v4/task"}) == "10.0.9.9"


def test_a_container_without_an_address_is_named(service: MetadataService) -> None:
    service.items["/v4/task"] = json.dumps({"Networks": [{"NetworkMode": "host", "IPv4Addresses": [""]}]})
    with pytest.raises(MetadataUnavailable, match="names no IPv4 address"):
        read_container_address({"ECS_CONTAINER_METADATA_URI_V4": f"{service.url}/v4/task"})


@pytest.mark.parametrize(
    "environ",
    [{"AWS_EC2_METADATA_DISABLED": "true"}, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"}],
)
def test_without_metadata_the_way_out_is_named(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "_PAUSE_SECONDS", 0)
    with pytest.raises(SettingsError, match="hop limit of 2; MEMBER_ADDRESS"):
        find_own_address(array_member(), environ)


def test_metadata_that_are_late_are_asked_again(service: MetadataService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: service.items.update({"local-ipv4": "10.0.0.5"}))
    assert find_own_address(array_member(), {"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url}) == "10.0.0.5"


def test_there_is_no_notice_until_there_is_one(service: MetadataService) -> None:
    metadata = InstanceMetadata(service.url)
    assert metadata.read_spot_notice() is None
    service.items["spot/instance-action"] = '{"action": "terminate", "time": "2026-11-20T00:00:00Z"}'
    assert metadata.read_spot_notice() == {"action": "terminate", "time": "2026-11-20T00:00:00Z"}
