"""Work that goes through many runs, files or datasets: what fails for one of them is noted, and the others are done all the same."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from spotline.documents import DocumentError
from spotline.text import make_printable

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = Logger(child=True)


@contextmanager
def isolate(what: str, failed: list[str]) -> Iterator[None]:
    """Let the work on one thing fail alone.

    Expected failures are an AWS call that failed even after the SDK's retries, and a document that cannot be read. Anything else is a
    fault of ours that this one thing's data brought to light: the log has its traceback, and it counts as failed like the others.

    Parameters
    ----------
    what
        The run, file or dataset.
    failed
        Where the failure is noted, by name. Whoever passes it raises an error of its own in the end, so that an alarm rings.
    """
    name = make_printable(what)
    try:
        yield
    except (ClientError, BotoCoreError, DocumentError) as error:
        failed.append(f"{name}: {type(error).__name__}: {error}")
        logger.error("failed, the others go on", failed=name, reason=str(error))  # noqa: TRY400  the reason says it all
    except Exception as error:
        failed.append(f"{name}: {type(error).__name__}: {error}")
        logger.exception("failed by a fault of the program, the others go on", failed=name)
