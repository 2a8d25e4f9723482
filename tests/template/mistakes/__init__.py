"""Mistakes to plant in a copy of the templates, each with the rule of ours that must catch it; a file for each file of rules."""

from __future__ import annotations

from tests.template.mistakes import access, capacity, data, gangs, hosts, images, jobs, keys, network, places

MISTAKES = (
    jobs.MISTAKES
    | gangs.MISTAKES
    | hosts.MISTAKES
    | capacity.MISTAKES
    | places.MISTAKES
    | network.MISTAKES
    | images.MISTAKES
    | access.MISTAKES
    | keys.MISTAKES
    | data.MISTAKES
)
