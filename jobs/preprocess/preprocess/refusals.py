"""Why a run ends without a manifest, each with its exit code and one line that says the way out."""

from spotline.exits import ExitCode


class Refusal(Exception):
    """The run cannot end well; the message is one line for a person."""

    code = ExitCode.BAD_CONFIGURATION


class DataRefused(Refusal):
    """The file is not what its contract says; only another file or another contract helps."""

    code = ExitCode.DATA_REFUSED


class Misconfigured(Refusal):
    """The job cannot do its work as it is set up: no such contract, bucket or permission, or no room left."""


class TryAgain(Refusal):
    """Something outside is down; the same run may succeed later."""

    code = ExitCode.TRY_AGAIN
