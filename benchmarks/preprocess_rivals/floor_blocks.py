"""The blocks of a file as the job cuts them, for the floor: a list of (offset, length)."""

import json
import sys
from pathlib import Path

from preprocess.cutting import Cutter, equal_blocks
from preprocess.decoding import Text
from preprocess.grammar import Grammar
from preprocess.header import HEAD_BYTES
from preprocess.job import Options
from preprocess.sources import LocalSource
from spotline.contracts import Dialect


def main(source: str, blocks: Path) -> None:
    """Cut `source`, whose header is one line."""
    file = LocalSource(Path(source))
    text = Text(file)
    head = text.read(HEAD_BYTES)
    begin = head.index(b"\n") + 1
    size = equal_blocks(file.size, Options().block_bytes)
    found = Cutter(source, text, head[begin:], begin, Grammar(Dialect()), size)
    blocks.write_text(json.dumps([(block.offset, len(block.text)) for block in found]))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
