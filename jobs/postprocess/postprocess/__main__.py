"""`python -m postprocess`: without arguments from the environment on AWS, with arguments on local paths."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from postprocess.inputs import InputsDisagree
from postprocess.job import PublishedMeanwhile, Settings, postprocess_folder, postprocess_run
from spotline import logs
from spotline.documents import DocumentError
from spotline.exits import ExitCode
from spotline.settings import SettingsError, load

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("postprocess")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m postprocess", description="Metrics and report of one run.")
    parser.add_argument(
        "--input", type=Path, metavar="DIR", help="output folder of analysis, or of preprocess without one"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where metrics.json, report.html and manifest.json go"
    )
    options = parser.parse_args(arguments)
    if (options.input is None) != (options.output is None):
        parser.error("--input and --output come together; without both, the job is configured by its environment")
    plain = logging.Formatter("%(levelname)s %(message)s")
    formatter = plain if options.input is not None else logs.JsonFormatter(run_id=os.environ.get("RUN_ID", ""))
    logs.set_up("postprocess", os.environ.get("LOG_LEVEL") or "INFO", formatter)
    try:
        if options.input is not None:
            document = postprocess_folder(options.input, options.output)
            print(json.dumps(document["metrics"], indent=1))
        else:
            document, written = postprocess_run(load(Settings))
            logger.info("recorded %s: %s", written.value, json.dumps(document["metrics"]))
    except (SettingsError, InputsDisagree, DocumentError) as error:
        logger.error("%s", error)  # noqa: TRY400  the message is complete, a traceback adds nothing
        return ExitCode.BAD_CONFIGURATION
    except PublishedMeanwhile as error:
        logger.warning("%s", error)
        return ExitCode.TRY_AGAIN
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
