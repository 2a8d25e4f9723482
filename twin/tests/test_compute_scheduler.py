"""Placement as AWS Batch does it, as a pure function (AWS Batch User Guide, "Jobs stuck in a RUNNABLE status")."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.compute.resources import InstanceType, Resources, UnknownInstanceType, instance_types, smallest, total
from twin.compute.scheduler import Demand, Environment, Market, Queue, Reason, Shares, schedule

SMALL = InstanceType("m5.large", Resources(2, 8192, 0))
GPU = InstanceType("g5.xlarge", Resources(4, 16384, 1))
BIG_GPU = InstanceType("p5.48xlarge", Resources(192, 2_097_152, 8))


def environment(
    name: str = "env", market: Market = Market.ON_DEMAND, vcpus: float = 8, *types: InstanceType
) -> Environment:
    return Environment(name, market, vcpus, types or (SMALL, GPU))


def job(name: str, vcpus: float = 1, memory: int = 512, gpus: int = 0, **others: object) -> Demand:
    return Demand(name, (Resources(vcpus, memory, gpus),), **others)  # type: ignore[arg-type]


def gang(name: str, nodes: int, vcpus: float = 2) -> Demand:
    return Demand(name, (Resources(vcpus, 512, 0),) * nodes, multinode=True)


def queue(
    *waiting: Demand, name: str = "q", priority: int = 1, environments: tuple[str, ...] = ("env",), **others: object
) -> Queue:
    return Queue(name, priority, environments, waiting, **others)  # type: ignore[arg-type]


def placed(
    queues: list[Queue], *environments: Environment, used: dict[str, Resources] | None = None, **supply: float
) -> list[str]:
    plan = schedule(
        queues, {env.name: env for env in environments}, used or {}, {Market(k): v for k, v in supply.items()}
    )
    return [placement.job_id for placement in plan.placements]


def reason(
    waiting: Demand, *environments: Environment, used: dict[str, Resources] | None = None, **supply: float
) -> Reason | None:
    names = tuple(env.name for env in environments)
    known = {env.name: env for env in environments}
    plan = schedule([queue(waiting, environments=names)], known, used or {}, {Market(k): v for k, v in supply.items()})
    assert not plan.placements
    assert [block.job_id for block in plan.blocks] == [waiting.job_id]
    return plan.blocks[0].reason


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/job_scheduling.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeResource.html",
)
def test_jobs_are_placed_in_order_until_the_environment_is_full() -> None:
    assert placed([queue(job("a", 4), job("b", 4), job("c", 1))], environment(vcpus=8)) == ["a", "b"]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html")
def test_a_head_that_does_not_fit_holds_up_what_is_behind_it() -> None:
    waiting = queue(job("large", 4), job("small", 1))
    assert placed([waiting], environment(vcpus=4), used={"env": Resources(1, 0, 0)}) == []


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateJobQueue.html")
def test_a_queue_of_higher_priority_is_served_first() -> None:
    low, high = queue(job("low", 4), name="low", priority=1), queue(job("high", 4), name="high", priority=9)
    assert placed([low, high], environment(vcpus=4)) == ["high"]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeEnvironmentOrder.html")
def test_environments_are_tried_in_the_order_of_the_queue() -> None:
    first, second = environment("first", vcpus=2), environment("second", vcpus=2)
    waiting = queue(job("a", 2), job("b", 2), environments=("second", "first"))
    plan = schedule([waiting], {"first": first, "second": second}, {}, {})
    assert [(place.job_id, place.environment) for place in plan.placements] == [("a", "second"), ("b", "first")]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateComputeEnvironment.html")
def test_a_disabled_environment_takes_nothing() -> None:
    off = Environment("env", Market.ON_DEMAND, 8, (SMALL,), enabled=False)
    assert placed([queue(job("a"))], off) == []


@pytest.mark.ours
def test_a_container_gets_the_smallest_instance_that_holds_it() -> None:
    plan = schedule([queue(job("a", 1, 9000), job("b", 1))], {"env": environment()}, {}, {})
    assert [[kind.name for kind in place.types if kind] for place in plan.placements] == [["g5.xlarge"], ["m5.large"]]


@pytest.mark.ours
def test_gpus_run_out_before_vcpus_do() -> None:
    waiting = queue(job("a", 1, gpus=1), job("b", 1, gpus=1), job("c", 1, gpus=1))
    assert placed([waiting], environment("env", Market.SPOT, 8, GPU)) == ["a", "b"]


@pytest.mark.ours
def test_memory_runs_out_before_vcpus_do() -> None:
    waiting = queue(job("a", 1, 8000), job("b", 1, 8000), job("c", 1, 8000))
    assert placed([waiting], environment("env", Market.ON_DEMAND, 4, SMALL)) == ["a", "b"]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job-lifecycle.html")
def test_a_gang_is_placed_whole_or_not_at_all() -> None:
    assert placed([queue(gang("g", 4))], environment(vcpus=8)) == ["g"]
    assert placed([queue(gang("g", 4))], environment(vcpus=8), used={"env": Resources(1, 0, 0)}) == []


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html")
def test_two_arrays_can_each_hold_half_of_what_one_needs() -> None:
    """Children of an array are placed one by one, so that gangs made of them can starve each other."""
    children = [job("a:0", 4), job("b:0", 4), job("a:1", 4), job("b:1", 4)]
    assert placed([queue(*children)], environment(vcpus=8)) == ["a:0", "b:0"]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/mnp-ce.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html",
)
@pytest.mark.parametrize("market", [Market.SPOT, Market.FARGATE])
def test_a_gang_never_runs_but_on_demand_and_nobody_says_why(market: Market) -> None:
    """AWS Batch User Guide, "Compute environment considerations" (multi-node): not on Spot, and silently so."""
    assert reason(gang("g", 2), environment(market=market, vcpus=100)) is None


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/mnp-ce.html")
def test_a_gang_passes_over_the_spot_environment_of_a_mixed_queue() -> None:
    spot, on_demand = environment("spot", Market.SPOT), environment("od")
    plan = schedule([queue(gang("g", 2), environments=("spot", "od"))], {"spot": spot, "od": on_demand}, {}, {})
    assert [place.environment for place in plan.placements] == ["od"]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html")
def test_waiting_for_ones_turn_has_no_reason() -> None:
    assert reason(job("a", 4), environment(vcpus=4), used={"env": Resources(4, 0, 0)}) is None


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable_capacity.html")
def test_a_market_without_supply_is_insufficient_capacity() -> None:
    assert reason(job("a"), environment(market=Market.SPOT), SPOT=0) is Reason.INSUFFICIENT_CAPACITY


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable_capacity.html")
def test_capacity_is_insufficient_only_when_all_environments_lack_it() -> None:
    spot, full = environment("spot", Market.SPOT), environment("od", vcpus=2)
    assert reason(job("a", 2), spot, full, used={"od": Resources(2, 0, 0)}, SPOT=0) is None


@pytest.mark.ours
def test_supply_is_shared_by_the_environments_of_a_market() -> None:
    first, second = environment("first", Market.SPOT), environment("second", Market.SPOT)
    waiting = queue(job("a", 2), job("b", 2), job("c", 2), environments=("first", "second"))
    assert placed([waiting], first, second, SPOT=4) == ["a", "b"]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html")
def test_more_vcpus_than_any_environment_may_have_is_max_resource() -> None:
    assert reason(job("a", 4), environment(vcpus=2)) is Reason.MAX_RESOURCE


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html")
def test_more_than_any_instance_has_is_a_resource_requirement() -> None:
    assert reason(job("a", 1, memory=10**6), environment()) is Reason.RESOURCE_REQUIREMENT
    assert reason(job("a", 1, gpus=4), environment()) is Reason.RESOURCE_REQUIREMENT


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html")
def test_what_fits_one_environment_of_several_is_no_misconfiguration() -> None:
    small, large = environment("small", vcpus=1), environment("large", vcpus=4)
    assert reason(job("a", 4), small, large, used={"large": Resources(4, 0, 0)}) is None


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/share-identifiers.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_ShareAttributes.html",
)
def test_the_share_that_runs_less_for_its_weight_goes_first() -> None:
    """AWS Batch API Reference, ShareAttributes: a smaller weightFactor means more compute."""
    shares = Shares({"urgent": 0.5, "batch*": 1.0})
    waiting = [
        job("b1", 2, share="batch1"),
        job("u1", 2, share="urgent"),
        job("u2", 2, share="urgent"),
        job("u3", 2, share="urgent"),
    ]
    fair = queue(*waiting, shares=shares, running={"batch1": 2.0, "urgent": 2.0})
    assert placed([fair], environment(vcpus=4)) == ["u1", "b1"]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/share-identifiers.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html",
)
def test_within_a_share_the_higher_scheduling_priority_goes_first() -> None:
    fair = queue(job("a", share="s", priority=1), job("b", share="s", priority=5), shares=Shares({}))
    assert placed([fair], environment(vcpus=1)) == ["b"]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/share-identifiers.html")
def test_equal_shares_take_turns_however_many_jobs_one_has_waiting() -> None:
    many = [job(f"m{at}", 2, share="many", order=at) for at in range(4)]
    fair = queue(*many, job("f0", 2, share="few", order=9), shares=Shares({}))
    assert placed([fair], environment(vcpus=6)) == ["m0", "f0", "m1"]


@pytest.mark.ours
def test_within_a_share_and_a_priority_the_oldest_goes_first() -> None:
    fair = queue(*(job(f"j{at}", share="s", order=at) for at in range(3)), shares=Shares({}))
    assert placed([fair], environment(vcpus=3)) == ["j0", "j1", "j2"]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateJobQueue.html")
def test_a_backfill_queue_gets_what_the_days_queue_leaves() -> None:
    day = queue(job("d1", 2, share="a"), job("d2", 2, share="b"), name="day", priority=10, shares=Shares({}))
    backfill = queue(*(job(f"b{at}", 2, share="a", order=at) for at in range(3)), priority=1, shares=Shares({}))
    assert placed([backfill, day], environment(vcpus=6)) == ["d1", "d2", "b0"]


@pytest.mark.ours
@given(
    sizes=st.lists(st.integers(1, 6), max_size=12),
    nodes=st.lists(st.integers(1, 4), max_size=4),
    limit=st.integers(0, 16),
    supply=st.integers(0, 16),
    held=st.integers(0, 16),
)
def test_no_plan_exceeds_an_environment_or_its_market(
    sizes: list[int], nodes: list[int], limit: int, supply: int, held: int
) -> None:
    waiting = [job(f"j{at}", size) for at, size in enumerate(sizes)] + [
        gang(f"g{at}", size) for at, size in enumerate(nodes)
    ]
    env = environment("env", Market.ON_DEMAND, limit, SMALL, BIG_GPU)
    plan = schedule([queue(*waiting)], {"env": env}, {"env": Resources(held)}, {Market.ON_DEMAND: supply})
    by_id = {demand.job_id: demand for demand in waiting}
    taken = total(node for place in plan.placements for node in by_id[place.job_id].nodes).vcpus
    assert taken == 0 or (taken + held <= limit and taken + held <= supply)
    assert [place.job_id for place in plan.placements] == [demand.job_id for demand in waiting[: len(plan.placements)]]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeResource.html")
def test_instance_types_are_named_singly_by_family_or_by_default() -> None:
    names = [kind.name for kind in instance_types(["g5", "p5.48xlarge"])]
    assert names[0] == "g5.xlarge"
    assert names[-1] == "p5.48xlarge"
    assert instance_types(["optimal"]) == instance_types(["default_x86_64"])
    assert smallest(instance_types(["optimal"]), Resources(1, 512)) is not None
    with pytest.raises(UnknownInstanceType, match=r"z9\.huge"):
        instance_types(["z9.huge"])
