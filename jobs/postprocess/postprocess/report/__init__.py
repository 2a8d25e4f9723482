"""`report.html`: one self-contained file about a run, without scripts and without anything fetched from elsewhere."""

from postprocess.report.page import render

__all__ = ["render"]
