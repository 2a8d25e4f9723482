"""From what is to be said to what is posted: Slack's Block Kit within its limits and with text from data made harmless, or plain text.

Limits are those of "Blocks" and "Composition objects" in Slack's Block Kit reference. Escaping follows "Formatting text for app
surfaces": `&`, `<` and `>` are the only characters that can turn text into a link, a mention or a command. `*`, `_`, `~` and backticks format text
of the kind `mrkdwn` and have no escape: text from data is of the kind `plain_text` or, where it stands beside ours, a code span.
Characters that nobody sees, or that change how others are shown, are escaped everywhere.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from spotline.text import make_lines_printable

HEADER_LIMIT = 150
TEXT_LIMIT = 3000
FIELD_LIMIT = 2000
FIELDS_IN_A_SECTION = 10
BLOCKS_LIMIT = 50
# Slack cuts a message's `text` at 40,000 characters and asks for 4,000 at most.
FALLBACK_LIMIT = 4000
SUMMARY = "messages-summary"
"""The kind of a message that stands for others."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_FORMATTED = re.compile(r"[*_~`\n]|:\S+:")
# Looks like a backtick and ends no code span.
_HARMLESS_BACKTICK = "\u02cb"


@dataclass(frozen=True)
class Fact:
    """One labelled value."""

    label: str
    value: str


@dataclass(frozen=True)
class Link:
    """A labelled address."""

    label: str
    url: str


@dataclass(frozen=True)
class Step:
    """One thing an operator can do, with the command that does it if there is one."""

    text: str
    command: str = ""


@dataclass(frozen=True)
class Announcement:
    """What is to be said, as plain text throughout: nothing in it is markup.

    `kind` is for machines, which choose by it what to pass on. `quote` is what a program said itself, and `log` holds the last lines
    of its log, oldest first.
    """

    kind: str
    symbol: str
    title: str
    summary: str
    quote: str = ""
    facts: tuple[Fact, ...] = ()
    log: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    links: tuple[Link, ...] = ()
    footnote: str = ""


@dataclass(frozen=True)
class Message:
    """What is posted: Block Kit blocks, and the text for notifications, screen readers and other channels."""

    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)


def to_message(said: Announcement, *, maybe_repeated: bool = False) -> Message:
    """Render an announcement for Slack; `maybe_repeated` says in the message that it may have been posted before."""
    footnote = _footnote(said, maybe_repeated=maybe_repeated)
    blocks: list[dict[str, Any]] = [_header(f"{said.symbol} {said.title}"), _plain_section(said.summary)]
    if said.quote:
        blocks.append(_plain_section(f"> {' '.join(said.quote.split())}"))
    blocks += _fact_sections(said.facts)
    if said.log:
        blocks.append(_section(_log(said.log)))
    if said.steps:
        blocks.append(_section(_steps(said.steps)))
    if said.links:
        blocks.append(_section("   ".join(_link(link) for link in said.links)))
    if footnote:
        blocks.append({"type": "context", "elements": [_plain(footnote, FIELD_LIMIT)]})
    plain = plain_text(said, maybe_repeated=maybe_repeated)
    return Message(escape(plain, FALLBACK_LIMIT), blocks[:BLOCKS_LIMIT])


def plain_text(said: Announcement, *, maybe_repeated: bool = False) -> str:
    """The whole announcement as text, line by line, nothing escaped: for channels that show text as text."""
    lines = [f"{said.symbol} {said.title}", said.summary]
    if said.quote:
        lines.append(f"> {said.quote}")
    lines += [f"{fact.label}: {fact.value}" for fact in said.facts]
    if said.log:
        lines += ["Last lines of the log:", *(f"  {line}" for line in said.log)]
    for number, step in enumerate(said.steps, start=1):
        lines.append(f"{number}. {step.text} {step.command}".rstrip())
    lines += [f"{link.label}: {link.url}" for link in said.links]
    footnote = _footnote(said, maybe_repeated=maybe_repeated)
    return make_lines_printable("\n".join([*lines, footnote] if footnote else lines))


def _footnote(said: Announcement, *, maybe_repeated: bool) -> str:
    return " · ".join(filter(None, [said.footnote, _REPEATED if maybe_repeated else ""]))


_REPEATED = "this message may have been posted before: the first one was not confirmed"


def escape(text: str, limit: int) -> str:
    """Make text harmless and at most `limit` characters long, never cutting an entity in two.

    >>> escape("a<b & <!channel>", 40)
    'a&lt;b &amp; &lt;!channel&gt;'
    >>> escape("aa<<<<", 8)
    'aa&lt;…'
    """
    pieces: list[str] = []
    length = 0
    for character in make_lines_printable(text):
        piece = _ENTITIES.get(character, character)
        length += len(piece)
        pieces.append(piece)
        if length > limit:
            break
    else:
        return "".join(pieces)
    while length > limit - 1:
        length -= len(pieces.pop())
    return "".join(pieces) + "…"


def code(text: str, limit: int) -> str:
    """Text from data as a code span, in which nothing is formatted."""
    line = make_lines_printable(" ".join(text.replace("`", _HARMLESS_BACKTICK).split()))
    return f"`{escape(line, limit - 2)}`" if line else ""


def _header(text: str) -> dict[str, Any]:
    return {"type": "header", "text": _plain(text, HEADER_LIMIT)}


def _plain_section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain(text, TEXT_LIMIT)}


def _plain(text: str, limit: int) -> dict[str, Any]:
    shown = make_lines_printable(text)
    clipped = shown if len(shown) <= limit else f"{shown[: limit - 1]}…"
    # emoji=False: a name such as `:skull:` in a key stays a name; the symbol is a character, not a name.
    return {"type": "plain_text", "text": clipped, "emoji": False}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _markdown(text)}


def _markdown(text: str) -> dict[str, Any]:
    # verbatim: Slack must not make links or mentions of names and addresses that stand in data.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _fact_sections(facts: tuple[Fact, ...]) -> list[dict[str, Any]]:
    fields = [_markdown(f"*{escape(fact.label, 100)}*\n{_value(fact.value, FIELD_LIMIT - 110)}") for fact in facts]
    starts = range(0, len(fields), FIELDS_IN_A_SECTION)
    return [{"type": "section", "fields": fields[start : start + FIELDS_IN_A_SECTION]} for start in starts]


def _value(text: str, limit: int) -> str:
    """A fact's value; as a code span when it holds what would format it."""
    return code(text, limit) if _FORMATTED.search(text) else escape(text, limit)


def _log(lines: tuple[str, ...]) -> str:
    """The newest lines that fit, as a code block."""
    kept: list[str] = []
    room = TEXT_LIMIT - len("*Last lines of the log*\n```\n```")
    for line in reversed(lines):
        piece = escape(line.replace("`", _HARMLESS_BACKTICK), 400)
        if len(piece) + 1 > room:
            break
        room -= len(piece) + 1
        kept.append(piece)
    return "*Last lines of the log*\n```\n" + "\n".join(reversed(kept)) + "```"


def _steps(steps: tuple[Step, ...]) -> str:
    share = (TEXT_LIMIT - 50) // len(steps)
    lines = [
        f"{number}. {escape(step.text, share // 2)}"
        + (f"\n{code(step.command, share // 2 - 10)}" if step.command else "")
        for number, step in enumerate(steps, start=1)
    ]
    return "*What to do*\n" + "\n".join(lines)


def _link(link: Link) -> str:
    # A bar or an angle bracket would end the address.
    return f"<{quote(link.url, safe=':/?#[]@!$&()*+,;=%~')}|{escape(link.label, 75).replace('|', ' ')}>"
