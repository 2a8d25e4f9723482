"""Slots: taken back from gangs that are over, given to gangs that wait, the day's work before a backfill's and the oldest first.

With no slot free, nothing is asked about the gangs that wait, however many they are. Whoever is next is read in detail first: its
execution may have ended unnoticed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spotline.failures import GIVES_WAY
from spotline.gangs import SUBMITTING, Close, Fail, fail_for_slot, parse_gang_name, to_give_way
from spotline.isolation import isolate
from spotline.launching import Launched
from spotline.runs import Market, Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from look_settings import LookSettings
    from seen import Seen
    from spotline.allowances import Allowances
    from spotline.clients import Clients
    from spotline.gangs import Action, Gang
    from spotline.launching import Launcher
    from spotline.run_table import RunTable

_TOOK_NO_SLOT = (Launched.EXHAUSTED, Launched.REFUSED)


class Handout:
    """Hands out slots. `settle` reads a gang's run, does what has to be done, and says whether the gang is to be launched."""

    def __init__(
        self,
        clients: Clients,
        table: RunTable,
        allowances: Allowances,
        launcher: Launcher,
        settings: LookSettings,
        now: Callable[[], datetime],
        settle: Callable[[Gang, Seen], bool],
        act: Callable[[Gang, Sequence[Action]], None],
        must_end: Callable[[], bool],
    ) -> None:
        self._clients = clients
        self._table = table
        self._allowances = allowances
        self._launcher = launcher
        self._settings = settings
        self._now = now
        self._settle = settle
        self._act = act
        self._must_end = must_end

    def hand_out(self, market: Market, gangs: Sequence[Gang], seen: Seen) -> None:
        """Give the free slots of a market to gangs that wait.

        Parameters
        ----------
        market
            Whose slots.
        gangs
            The open gangs of all markets, as listed a moment ago.
        seen
            What comes of it.
        """
        holders = self._allowances.slot_holders(market)
        self._launch(
            self._find_waiting(gangs, market, seen), holders, self._settings.slots(market) - len(holders), seen
        )

    def take_back(self, market: Market, gangs: Sequence[Gang], seen: Seen) -> None:
        """Take back slots whose holder is over: of a reconcile that ended halfway, or of a launcher slower than its gang's end.

        A gang is recorded before it takes a slot, so nothing will be launched for a holder without an open record. The listing of open
        gangs lags behind, so a holder that is not in it is looked up.
        """
        open_names = {gang.name for gang in gangs}
        for holder in sorted(self._allowances.slot_holders(market) - open_names):
            with isolate(holder, seen.failed):
                gang = parse_gang_name(holder)
                if gang is None or not self._table.is_open(*gang):
                    self._allowances.free_slot(market, holder)
                    seen.done.append(f"{holder}: freed its slot")

    def _find_waiting(self, gangs: Iterable[Gang], market: Market, seen: Seen) -> list[Gang]:
        """The gangs that wait for a slot of this market, whoever is first at the front, less those that this reconcile has finished with."""
        now = self._now()
        return sorted(
            (
                gang
                for gang in gangs
                if gang.market is market
                and gang.job_id is None
                and gang.name not in seen.finished
                and (gang.submitting_at is None or now - gang.submitting_at >= SUBMITTING)
            ),
            key=lambda gang: (gang.priority is Priority.BACKFILL, gang.launched_at, gang.name),
        )

    def _launch(self, waiting: Sequence[Gang], holders: set[str], room: int, seen: Seen) -> None:
        for gang in waiting:
            if room <= 0 and gang.name not in holders:
                continue
            if self._must_end():  # each gang whose run has ended costs some calls and leaves the slot free
                seen.done.append(f"{gang.name} and those behind it: left to the next reconcile")
                break
            with isolate(gang.run_id, seen.failed):
                if self._settle(gang, seen):
                    launched = self._launcher.launch(gang)
                    if launched is not Launched.WAITING:
                        seen.finished.add(gang.name)
                    seen.done.append(f"{gang.name}: {launched.value}")
                    if launched is Launched.SUBMITTED:
                        seen.launched.append(gang.market)
                    if launched is Launched.WAITING:  # somebody else was faster
                        room = 0
                    elif launched not in _TOOK_NO_SLOT and gang.name not in holders:
                        room -= 1

    def make_room(self, market: Market, gangs: Sequence[Gang], seen: Seen) -> None:
        """Let a backfill's gang give its slot to one of the day's that waits; the slot is free once a later reconcile sees its end."""
        holders = self._allowances.slot_holders(market)
        if len(holders) < self._settings.slots(market):
            return
        found = to_give_way((gang for gang in gangs if gang.market is market), holders)
        if found is None or found.job_id is None:
            return
        for gang in self._find_waiting(gangs, market, seen):
            if gang.priority is Priority.BACKFILL or self._must_end():
                return
            # Its run may have ended meanwhile, and then it needs no slot; or it cannot be read, which must not keep out the next one.
            with isolate(gang.run_id, seen.failed):
                if self._settle(gang, seen):
                    self._clients.batch.terminate_job(jobId=found.job_id, reason=GIVES_WAY)
                    seen.done.append(f"{found.name}: gives its slot to {gang.name}")
                    return

    def fall_back(self, gangs: Sequence[Gang], seen: Seen) -> None:
        """Send runs that have waited long for a Spot slot on to On-Demand, as many as can be launched there now."""
        patience = timedelta(seconds=self._settings.spot_slot_max_wait_seconds)
        now = self._now()
        tired = [
            gang
            for gang in self._find_waiting(gangs, Market.SPOT, seen)
            if gang.falls_back and now - gang.launched_at > patience
        ]
        if not tired:
            return
        for gang in tired[: self._room_on_demand(gangs, seen)]:
            with isolate(gang.run_id, seen.failed):
                if self._settle(gang, seen):
                    self._act(gang, [Fail(fail_for_slot(gang, patience)), Close()])
                    seen.done.append(f"{gang.name}: goes on to On-Demand")

    def _room_on_demand(self, gangs: Sequence[Gang], seen: Seen) -> int:
        """How many more gangs could be launched on On-Demand now: by its slots, and by the day's hours that are left."""
        waiting = len(self._find_waiting(gangs, Market.ON_DEMAND, seen))
        held = len(self._allowances.slot_holders(Market.ON_DEMAND))
        limits = self._settings.limits
        hours = timedelta(hours=limits.hours_per_day) - self._allowances.spent(self._now())
        return max(0, min(limits.on_demand_gangs - held - waiting, hours // limits.attempt))
