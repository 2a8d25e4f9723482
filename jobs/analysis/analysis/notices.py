"""Notices that this member's instance goes away: how they are found, and how they are written down for the control plane."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from analysis import config
from analysis.metadata import MetadataUnavailable
from spotline.layout import notice_key

if TYPE_CHECKING:
    from analysis.config import Settings
    from analysis.membership import Member
    from analysis.metadata import InstanceMetadata


@dataclass(frozen=True)
class Notice:
    """`spot`: the instance's own interruption notice, with its `action` and `time`. `sigterm`: the container is being stopped."""

    kind: str
    details: dict[str, Any] = field(default_factory=dict)


async def poll(instance: InstanceMetadata, seconds: float) -> dict[str, Any]:
    """Wait for the instance's Spot notice. A metadata service that fails is asked again: notices are best effort anyway."""
    while True:
        with contextlib.suppress(MetadataUnavailable, OSError):
            notice = await asyncio.to_thread(instance.spot_notice)
            if notice is not None:
                return notice
        await asyncio.sleep(seconds)


def write_notice(settings: Settings, member: Member, notice: Notice) -> None:
    """Write the notice beside the checkpoints, where it counts as an interruption whatever the exit codes say."""
    record = {"job_id": member.job_id, "generation": settings.generation, "member": member.index, **asdict(notice)}
    results = config.place(settings, member.job_id).results
    results.write(notice_key(member.job_id, member.index), json.dumps(record).encode())
