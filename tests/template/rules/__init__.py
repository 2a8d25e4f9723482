"""Our own rules for the templates: what neither cfn-lint nor SAM sees. Each takes the system and yields what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.template.rules import access, capacity, data, gangs, hosts, images, jobs, keys, network, places
from tests.template.system import System

Rule = Callable[[System], Iterator[str]]

RULES: dict[str, Rule] = {
    rule.__name__: rule
    for module in (jobs, gangs, hosts, capacity, places, network, images, access, keys, data)
    for rule in module.RULES
}
