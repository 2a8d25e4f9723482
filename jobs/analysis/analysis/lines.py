"""JSON lines over a stream: what supervisors say to each other and to their workers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from spotline.documents import parse_object

Message = dict[str, Any]


def encode(message: Message) -> bytes:
    """One message as one line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


async def messages(reader: asyncio.StreamReader) -> AsyncIterator[Message]:
    """Every message until the other side closes, dies, or talks nonsense."""
    try:
        while line := await reader.readline():
            yield parse_object(line, "a message")
    except (OSError, ValueError):
        return


def say(writer: asyncio.StreamWriter, message: Message) -> None:
    """Send without waiting: messages are small, and a peer that no longer reads is found by its silence."""
    if not writer.is_closing():
        writer.write(encode(message))
