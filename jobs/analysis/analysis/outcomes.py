"""How a gang's work can end: the errors that end it, and the exit reason that all members share."""

from dataclasses import asdict, dataclass

from spotline.exits import ExitCode

PROGRAM_FAILED = 1


class AnalysisError(Exception):
    """The data, the contract or the program is at fault: another gang would fail, too. The message names the way out."""


class FencedOff(Exception):
    """A newer gang of this run holds the checkpoint: this one leaves without writing."""


class Stopped(Exception):
    """The gang was asked to leave, and has reached a boundary."""


@dataclass(frozen=True)
class ExitReason:
    """Why a gang ends, the same for all its members, so that it does not matter whose exit code the control plane reads.

    `code` is the exit code of every member that still can choose one; `reason` is a text for people.
    """

    code: int
    reason: str

    def to_message(self) -> dict[str, object]:
        """The fields of a message to the other members."""
        return asdict(self)

    @classmethod
    def done(cls) -> "ExitReason":
        """The manifest is published."""
        return cls(ExitCode.DONE, "the analysis is published")

    @classmethod
    def lost(cls, reason: str) -> "ExitReason":
        """A member is gone, or the gang has to give way: another gang may succeed."""
        return cls(ExitCode.TRY_AGAIN, reason)
