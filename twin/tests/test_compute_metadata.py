"""What an instance tells its programs (Amazon EC2 User Guide, "Use the Instance Metadata Service")."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from http import HTTPStatus

import pytest

from clouds.recorded import recording, shape
from twin.compute.instances import LOOPBACK, Addresses, Instance, Task, new_instance_id
from twin.compute.metadata import Reply, Tokens, answer
from twin.compute.scheduler import Market


def task(*, awsvpc: bool) -> Task:
    return Task(
        id="0123",
        arn="arn:aws:ecs:us-east-1:123456789012:task/c/0123",
        cluster="c",
        family="gang",
        revision=3,
        container="default",
        image="shop-report",
        address="127.9.9.9",
        awsvpc=awsvpc,
        attachment="",
        log_group="/aws/batch/job",
        log_stream="gang/default/0123",
    )


class Client:
    """A program on an instance."""

    def __init__(self, *, awsvpc: bool = False) -> None:
        self.now = 0.0
        self.instance = Instance(
            id="i-0123456789abcdef0",
            type="g5.xlarge",
            market=Market.SPOT,
            address="127.1.2.3",
            account="123456789012",
            region="us-east-1",
            zone="us-east-1b",
            container_instance="arn",
            tasks={"0123": task(awsvpc=awsvpc)},
        )
        self.tokens = Tokens(lambda: self.now)

    def ask(self, path: str, method: str = "GET", **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return answer(method, path, named, self.instance, self.tokens)

    def token(self, seconds: str = "60") -> str:
        return self.ask("/latest/api/token", "PUT", x_aws_ec2_metadata_token_ttl_seconds=seconds).body

    def get(self, path: str) -> Reply:
        return self.ask(f"/latest/meta-data/{path}", x_aws_ec2_metadata_token=self.token())


@pytest.mark.documented("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-categories.html")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("instance-id", "i-0123456789abcdef0"),
        ("instance-type", "g5.xlarge"),
        ("local-ipv4", "127.1.2.3"),
        ("placement/availability-zone", "us-east-1b"),
        ("instance-life-cycle", "spot"),
    ],
)
def test_an_instance_says_what_it_is(path: str, value: str) -> None:
    assert Client().get(path) == Reply(HTTPStatus.OK, value)


@pytest.mark.documented("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-v2-how-it-works.html")
def test_nothing_is_told_without_a_token_or_after_its_time() -> None:
    client = Client()
    assert client.ask("/latest/meta-data/instance-id").status is HTTPStatus.UNAUTHORIZED
    token = client.token("60")
    assert client.ask("/latest/meta-data/instance-id", x_aws_ec2_metadata_token=token).status is HTTPStatus.OK
    client.now = 60.0
    assert client.ask("/latest/meta-data/instance-id", x_aws_ec2_metadata_token=token).status is HTTPStatus.UNAUTHORIZED


@pytest.mark.documented("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-v2-how-it-works.html")
@pytest.mark.parametrize("seconds", ["", "0", "21601", "soon"])
def test_a_token_needs_a_time_to_live_of_up_to_six_hours(seconds: str) -> None:
    reply = Client().ask("/latest/api/token", "PUT", x_aws_ec2_metadata_token_ttl_seconds=seconds)
    assert reply.status is HTTPStatus.BAD_REQUEST


@pytest.mark.documented("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-v2-how-it-works.html")
def test_a_token_is_not_given_by_get_nor_to_a_proxy() -> None:
    assert Client().ask("/latest/api/token").status is HTTPStatus.METHOD_NOT_ALLOWED
    forwarded = Client().ask("/latest/api/token", "PUT", x_forwarded_for="1.2.3.4")
    assert forwarded.status is HTTPStatus.FORBIDDEN


@pytest.mark.documented("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html")
def test_there_is_no_notice_until_there_is_one() -> None:
    client = Client()
    assert client.get("spot/instance-action").status is HTTPStatus.NOT_FOUND
    assert client.get("spot/termination-time").status is HTTPStatus.NOT_FOUND
    client.instance.notice = datetime(2026, 2, 9, 8, 22, tzinfo=UTC)
    assert shape(json.loads(client.get("spot/instance-action").body)) == shape(recording("ec2-spot-instance-action"))
    assert json.loads(client.get("spot/instance-action").body) == {
        "action": "terminate",
        "time": "2026-02-09T08:22:00Z",
    }
    assert client.get("spot/termination-time").body == "2026-02-09T08:22:00Z"


@pytest.mark.documented("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html")
def test_folders_are_listed() -> None:
    assert Client().get("placement/").body.split("\n") == ["availability-zone", "region"]
    assert "placement/" in Client().get("").body.split("\n")
    assert Client().get("no-such/thing").status is HTTPStatus.NOT_FOUND


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4.html",
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-examples.html",
)
def test_ecs_knows_an_awsvpc_container_s_address_and_not_a_host_container_s() -> None:
    """A leader on Spot, in host mode, must ask its instance; in a multi-node job it must ask ECS."""
    networks = [json.loads(Client(awsvpc=mode).ask("/v4/0123").body)["Networks"] for mode in (True, False)]
    assert networks == [
        [{"NetworkMode": "awsvpc", "IPv4Addresses": ["127.9.9.9"]}],
        [{"NetworkMode": "host", "IPv4Addresses": [""]}],
    ]
    described = json.loads(Client().ask("/v4/0123/task").body)
    assert described["TaskARN"].endswith("task/c/0123")
    assert [container["Name"] for container in described["Containers"]] == ["default"]
    assert Client().ask("/v4/other").status is HTTPStatus.NOT_FOUND


@pytest.mark.ours
def test_addresses_are_loopback_and_no_two_alike() -> None:
    addresses = Addresses(distinct=True)
    taken = [addresses.take() for _ in range(1000)]
    assert len(set(taken)) == 1000
    assert LOOPBACK not in taken
    assert all(address.startswith("127.") for address in taken)
    assert Addresses(distinct=False).take() == LOOPBACK


@pytest.mark.documented("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html")
def test_instance_ids_look_like_ec2_s() -> None:
    ids = {new_instance_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(instance) == 19 and instance.startswith("i-") for instance in ids)
