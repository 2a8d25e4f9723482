"""Gangs disturbed at random seeded moments at the default settings: each ends in 30 s, each is made up for bit by bit.

`GANG_SOAK_RUNS=2` runs fewer seeds for a look; docs/soak.md is written after the full count only.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from analysis.conformance import data as cleaned
from spotline.exits import ExitCode
from tests.soak.document import table, write_section
from tests.soak.gang_network import Host, network, unavailable
from tests.unit.analysis.gangs import FASTER, SABOTAGE, Gang, digests, environment, stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

MEMBERS, ROUNDS, SEGMENT = 3, 600, 20
FULL_COUNT = 25
RUNS = int(os.environ.get("GANG_SOAK_RUNS", FULL_COUNT))
LIMIT_SECONDS = 30
KINDS = ("worker killed", "member killed", "worker frozen", "member frozen", "worker stuck", "cut off")


@dataclass(frozen=True)
class Disturbed:
    """One gang that was disturbed: how, and what it cost."""

    seed: int
    kind: str
    member: int
    round: int
    seconds: float
    rounds_lost: int


@pytest.fixture(scope="module")
def record() -> Iterator[list[Disturbed]]:
    """Gangs that passed; the document reports them when all of the full count did."""
    passed: list[Disturbed] = []
    yield passed
    if len(passed) == FULL_COUNT:
        write_section("Lost members of a gang", report(passed))


def report(passed: list[Disturbed]) -> str:
    """The section of the document."""
    seconds, lost = [gang.seconds for gang in passed], [gang.rounds_lost for gang in passed]
    rows = [
        (gang.seed, gang.kind, gang.member, gang.round, f"{gang.seconds:.1f}", gang.rounds_lost)
        for gang in sorted(passed, key=lambda gang: gang.seed)
    ]
    return (
        f"{len(passed)} gangs of {MEMBERS} members, each in a network namespace of its own, at the default limits; {ROUNDS} rounds in"
        f" segments of {SEGMENT}. Member 0 leads. Every gang ended with 75, and the next one's model and parts equalled an undisturbed"
        f" gang's bit for bit. It took at most {max(seconds):.1f} s to end (promised: {LIMIT_SECONDS} s) and cost at most"
        f" {max(lost)} rounds (promised: one segment).\n\n"
        + table(["seed", "what was done", "to member", "in round", "seconds until all had left", "rounds lost"], rows)
    )


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Host]]:
    if reason := unavailable():
        pytest.skip(reason)
    with network(MEMBERS) as made:
        yield made


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("soak") / "in"
    contract = cleaned.build_contract(rounds=ROUNDS, segment=SEGMENT, parameters={"subsample": 0.8, "max_depth": 6})
    cleaned.write_clean_data(folder, cleaned.build_table(20_000), contract, row_group=2_000)
    return folder


@pytest.fixture(scope="module")
def undisturbed(source: Path, hosts: list[Host], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("undisturbed")
    finish(source, output, hosts, 1)
    return output


def start(source: Path, output: Path, hosts: list[Host], generation: int, **variables: str) -> Gang:
    """A gang whose members have an address each, with the default limits."""
    defaults = dict.fromkeys(FASTER, "")
    environments = [
        environment(source, output, index, MEMBERS, generation, None)
        | defaults
        | {"MEMBER_ADDRESS": host.address}
        | {name.upper(): value for name, value in variables.items()}
        for index, host in enumerate(hosts)
    ]
    return Gang(environments, prefixes=[host.prefix for host in hosts])


def finish(source: Path, output: Path, hosts: list[Host], generation: int) -> Gang:
    gang = start(source, output, hosts, generation)
    try:
        assert gang.codes(200) == [0] * MEMBERS, gang.lines
    finally:
        gang.end()
    return gang


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_disturbed_gang_ends_in_time_and_is_made_up_for(
    source: Path, undisturbed: Path, hosts: list[Host], record: list[Disturbed], tmp_path: Path, seed: int
) -> None:
    # Given a gang in mid-training
    chance = random.Random(seed)
    kind, victim = KINDS[seed % len(KINDS)], chance.randrange(MEMBERS)
    round_ = chance.randrange(SEGMENT, ROUNDS * 2 // 3)
    sabotage = {"pythonpath": SABOTAGE, "sabotage": f"{victim}:{round_}:stick"} if kind == "worker stuck" else {}
    gang = start(source, tmp_path, hosts, 1, **sabotage)
    try:
        gang.wait_for("checkpoint", seconds=100, round=round_ - round_ % SEGMENT)
        time.sleep(chance.random() * 0.2)

        # When a member is lost
        began = time.monotonic()
        if kind == "worker killed":
            gang.worker(victim).kill()
        elif kind == "member killed":
            gang.members[victim].kill()
        elif kind == "worker frozen":
            stop(gang.worker(victim))
        elif kind == "member frozen":
            stop(gang.members[victim])
            stop(gang.worker(victim))
        elif kind == "cut off":
            hosts[victim].cut()

        # Then everybody who can leaves in time
        unable = victim if kind in ("member killed", "member frozen") else None
        codes = gang.codes(LIMIT_SECONDS + 5, without=unable)
        seconds = time.monotonic() - began
        assert seconds <= LIMIT_SECONDS, gang.lines
        assert set(codes) == {ExitCode.TRY_AGAIN}, gang.lines
    finally:
        hosts[victim].bring_up()
        gang.end()

    # And at most one segment is lost, and the next gang ends where an undisturbed one does
    lines = gang.of("leaving")
    lost = max(line["round"] for line in lines) - gang.of("checkpoint")[-1]["round"]
    assert lost <= SEGMENT, gang.lines
    assert not (tmp_path / "manifest.json").exists()
    finish(source, tmp_path, hosts, 2)
    assert digests(tmp_path) == digests(undisturbed)
    record.append(Disturbed(seed, kind, victim, round_, seconds, lost))
