"""What can go wrong with a gang's work, by what has to follow."""


class AnalysisError(Exception):
    """The data, the contract or the program is at fault: another gang would fail alike. The message names the way out."""


class FencedOff(Exception):
    """A newer gang of this run holds the checkpoint: this one leaves without writing."""
