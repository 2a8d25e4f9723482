"""How a gang ends: one outcome for all its members, so that it does not matter whose exit code is looked at."""

from dataclasses import asdict, dataclass

from spotline.exits import ExitCode

PROGRAM_FAILED = 1


@dataclass(frozen=True)
class Ending:
    """The exit code of every member that still can choose one, and the reason in words."""

    code: int
    reason: str

    def to_message(self) -> dict[str, object]:
        """As it is sent to the other members."""
        return asdict(self)

    @classmethod
    def done(cls) -> "Ending":
        """The manifest is published."""
        return cls(ExitCode.DONE, "the analysis is published")

    @classmethod
    def lost(cls, reason: str) -> "Ending":
        """A member is gone, or the gang has to give way: worth another gang."""
        return cls(ExitCode.TRY_AGAIN, reason)
