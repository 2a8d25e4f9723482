"""What the running twin gives to Step Functions: the clock, the tokens that are out, and the mocked cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twin.clock import Clock
from twin.executions.tokens import Tokens

if TYPE_CHECKING:
    from twin.executions.mocks import Mocks


@dataclass
class Shared:
    """What all executions share; `begin` gives it for a new twin."""

    clock: Clock = field(default_factory=Clock)
    tokens: Tokens = field(default_factory=Tokens)
    mocks: Mocks | None = None
    enforce_iam: bool = False

    def begin(self, clock: Clock, *, enforce_iam: bool) -> None:
        """Scale every wait by `clock`; tokens and mocks of the twin before are forgotten."""
        self.clock, self.tokens, self.mocks, self.enforce_iam = clock, Tokens(), None, enforce_iam


shared = Shared()
