"""What must hold in every history: the invariants of the design, by their numbers, and the allowances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from announce.claims import MOST_UNCONFIRMED
from spotline.runs import Market
from tests.unit.protocol.steps import MARKETS
from tests.unit.protocol.world import file_of

if TYPE_CHECKING:
    from tests.unit.protocol.world import World


def assert_fenced(world: World) -> None:
    """Of each run at most one gang publishes, and no gang writes the pointer once a newer one has."""
    newest: dict[str, int] = {}
    published: set[str] = set()
    for act, run, generation in world.leaders:
        if act == "claimed":
            held = newest.get(run, 0)
            assert generation >= held, f"generation {generation} of {run} wrote the pointer after {held} had claimed it"
            newest[run] = generation
        else:
            assert run not in published, f"generation {generation} of {run} published after another one"
            published.add(run)


def assert_metrics_go_forward(world: World, shown: dict[str, int]) -> None:
    """A file's metrics are never again of an older version than they have been; `shown` remembers what they have been of."""
    ages = [version["VersionId"] for version in world.s3.versions]
    for file, version in world.metrics().items():
        assert ages.index(version) >= shown.get(file, 0), f"{version} overwrote the metrics of {ages[shown[file]]}"
        shown[file] = ages.index(version)


def assert_told_once(world: World) -> None:
    """What is confirmed is not told again; what may have arrived is told once more, saying so."""
    assert world.slack.arrived_again == []
    for texts in world.slack.arrived.values():
        assert len(texts) <= 2, texts
        assert texts[1:] in ([], ["repeated"])


def assert_everything_told(world: World) -> None:
    """Each end of an execution is confirmed by Slack or may have arrived twice, by itself or in a summary."""
    assert not world.table.has_unsent_messages()
    for key in map(world.message_of, world.endings):
        claim = world.dynamodb.items[key.pk, key.sk]
        if "summarised_at" in claim:
            [summary] = [message for message, keys in world.slack.contents.items() if key in keys and message != key]
            claim = world.dynamodb.items[summary.pk, summary.sk]
        assert "confirmed_at" in claim or claim["unconfirmed"] == MOST_UNCONFIRMED


def assert_nothing_missed(world: World) -> None:
    """The newest version of each file that landed has a run."""
    run = {one.version_id for one in world.steps.executions.values()}
    newest = {file_of(version["VersionId"]): version["VersionId"] for version in world.s3.versions}
    assert set(newest.values()) <= run


def assert_no_token_lost(world: World) -> None:
    """Whoever waits behind a token waits for a launcher that was not carried out yet, or for a gang whose record is open."""
    answerable = {task.task_token for task in world.launches} | {gang.task_token for gang in world.table.open_gangs()}
    for execution in world.steps.executions.values():
        if execution.status == "RUNNING" and execution.state in MARKETS:
            assert execution.waits_for in answerable, f"{execution.name} waits behind a token that nobody knows"


def assert_within_allowances(world: World) -> None:
    for (pk, market), item in world.dynamodb.items.items():
        if pk == "SLOTS":
            assert len(item.get("holders", ())) <= slots(world, market)
        if pk.startswith("BUDGET#"):
            assert 0 <= item["spent"] <= world.look_settings.on_demand_gang_hours_per_day * 3600
    unfinished = {job["jobId"] for job in world.batch.unfinished()}
    busy = [gang.market for gang in world.table.open_gangs() if gang.job_id in unfinished]
    for market in Market:
        assert busy.count(market) <= slots(world, market)


def slots(world: World, market: str) -> int:
    told = world.look_settings
    return told.spot_max_gangs if market == "SPOT" else told.on_demand_max_gangs
