"""A member knows who it is from what Batch sets, both ways of forming a gang."""

import pytest

from analysis.membership import Formation, Member
from spotline.settings import SettingsError

ARRAY = {"AWS_BATCH_JOB_ID": "job-1:2", "AWS_BATCH_JOB_ARRAY_INDEX": "2", "AWS_BATCH_JOB_ARRAY_SIZE": "4"}
NODE = {
    "AWS_BATCH_JOB_ID": "job-1#1",
    "AWS_BATCH_JOB_NODE_INDEX": "1",
    "AWS_BATCH_JOB_NUM_NODES": "3",
    "AWS_BATCH_JOB_MAIN_NODE_INDEX": "0",
    "AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS": "10.0.0.7",
}


def test_an_array_child_is_the_member_of_its_index() -> None:
    assert Member.discover(ARRAY) == Member(2, 4, "job-1", Formation.ARRAY)


def test_a_child_node_knows_the_leaders_address() -> None:
    assert Member.discover(NODE) == Member(1, 3, "job-1", Formation.MULTI_NODE, "10.0.0.7")


def test_the_main_node_leads_and_gets_no_address() -> None:
    main = {**NODE, "AWS_BATCH_JOB_ID": "job-1", "AWS_BATCH_JOB_NODE_INDEX": "0"}
    del main["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"]
    member = Member.discover(main)
    assert member.leads
    assert member.leader_address is None


@pytest.mark.parametrize(("node", "index"), [(0, 1), (1, 2), (2, 0)])
def test_whichever_node_is_main_is_member_0(node: int, index: int) -> None:
    environ = {**NODE, "AWS_BATCH_JOB_NODE_INDEX": str(node), "AWS_BATCH_JOB_MAIN_NODE_INDEX": "2"}
    assert Member.discover(environ).index == index


def test_a_job_that_is_neither_is_a_gang_of_one() -> None:
    assert Member.discover({"AWS_BATCH_JOB_ID": "job-1"}) == Member(0, 1, "job-1", Formation.ALONE)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "AWS_BATCH_JOB_ID is not set"),
        ({**ARRAY, "AWS_BATCH_JOB_ARRAY_SIZE": "2"}, "index 2 is outside a gang of 2"),
        ({**ARRAY, "AWS_BATCH_JOB_ARRAY_INDEX": "two"}, "AWS_BATCH_JOB_ARRAY_INDEX='two'"),
        ({name: NODE[name] for name in list(NODE)[:4]}, "PRIVATE_IPV4_ADDRESS is not set"),
    ],
)
def test_a_contradictory_environment_is_named(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Member.discover(environ)
