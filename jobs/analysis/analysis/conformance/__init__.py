"""Whether a command is an analysis as docs/extend.md describes one: `python -m analysis conformance -- COMMAND`."""
