"""The loops in C touch nothing beyond the arrays that they are given, as the compiler's sanitizers see it."""

from __future__ import annotations

import os
import random
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from preprocess import native

MAIN = Path(__file__).with_name("sanitized_main.c")
CELLS = Path(native.__file__).parent
SANITIZED = [
    "-std=c11",
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
]
# Leaks are not looked for: whoever traces the tests would make that fail.
ENVIRONMENT = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}

PIECES = [
    b"a", b"12", b",", b";", b'"', b'""', b"\n", b"\r\n", b"\r", b',"', b'",', b'"\n', b'"\r\n', b" ", b"\t", b"\0", b"",
    b"x" * 11, b"x" * 12, b"x" * 13, b"y" * 61, b"z" * 64, b"NA", b"-999", b"no value at all", b"no value at all.", b"a text that is long",
    b"1,234.5", b"-0", b"1e400", b".5", b"1e", b"+", b"-", b".", b"5e-324", b"0." + b"3" * 130, b"9" * 19, b"9" * 112, b"1e-99999", b"1e23", b"1e-23",
    b"123456789012345678901234567890e-9", b"2024-02-29", b"2023-02-29", b"2024-13-01", b"2024-00-01", b"23:59", b"2024", b"a" + b"0" * 30 + b" ",
    "é".encode(), "\u00a0".encode(), "\u202f1\u202f234,5".encode(), "\u3000".encode(), "\U0001f600".encode(),
    b"\xc2", b"\xe2\x80", b"\xe2", b"\xf0\x9f\x98", b"\x80", b"\xff", b"\xed\xa0\x80",
]  # fmt: skip
WELL_FORMED = [
    piece
    for piece in PIECES
    if not set(piece) & set(b'",;\r\n\0') and piece.decode(errors="replace").encode() == piece
]  # fmt: skip


def test_no_loop_goes_beyond_what_it_is_given(tmp_path: Path) -> None:
    inputs = b"".join([generated(seed) for seed in range(3000)] + alone() + many())
    found = set()
    for flags in ([], ["-U__SSE2__"]):  # for this processor, and for any
        program = compiled(tmp_path, flags)

        ran = subprocess.run([program], input=inputs, capture_output=True, env=ENVIRONMENT, check=False)

        assert ran.returncode == 0, ran.stderr.decode()[:4000]
        found.add(ran.stdout.decode())

    (told,) = found
    match = re.fullmatch(r"\d+ inputs, (\d+) proved, (\d+) walked, (\d+) split, (\d+) values\n", told)
    assert match is not None
    # Or the inputs reach too little.
    assert all(int(times) > 1000 for times in match.groups()), told


def compiled(folder: Path, flags: list[str]) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("there is no cc, whose sanitizers would watch the loops")
    probe = folder / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    made = subprocess.run(
        ["cc", *SANITIZED, probe, "-o", folder / "probe"], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"cc has no sanitizers here: {made.stderr.strip()[-200:]}")
    if subprocess.run([folder / "probe"], env=ENVIRONMENT, capture_output=True, check=False).returncode:
        pytest.skip("what cc makes with its sanitizers does not run here")
    program = folder / "sanitized"
    subprocess.run(["cc", *SANITIZED, *flags, "-I", CELLS, MAIN, "-o", program], check=True)
    return program


def generated(seed: int) -> bytes:
    """An input as sanitized_main.c reads it: any bytes, or records that are well-formed."""
    chance = random.Random(seed)
    delimiter, quote = chance.choice([(b",", b'"'), (b",", b'"'), (b";", b"'"), (b",", None), (b"a", b"1")])
    width = chance.randint(1, 5)
    if seed % 2:
        text = b"".join(chance.choices(PIECES, k=chance.randint(0, 12)))
        rows = max(0, text.count(b"\n") + chance.choice([0, 0, -1, 1]))
    else:
        rows = chance.randint(0, 5)
        text = b"".join(record(chance, width, delimiter, quote) for _ in range(rows))
        # What is said of them is wrong now and then, by one.
        rows = max(0, rows + chance.choice([0] * 8 + [-1, 1]))
        width = max(1, width + chance.choice([0] * 8 + [-1, 1]))
    return packed(text, rows, width, delimiter, quote, doubled=chance.random() < 0.5)


def alone() -> list[bytes]:
    """Every piece in a line of its own, padded until no view holds it whole."""
    space = b" " * 13
    lines = [before + piece + behind for piece in PIECES for before in (b"", space) for behind in (b"", space)]
    return [packed(line + b"\n", 1, 1, b"|", None) for line in lines]


def many() -> list[bytes]:
    """More spellings than a table knows; some of them have their places at its end."""
    texts = [b"".join(b"%d\n" % (start + index) for index in range(400)) for start in range(0, 10**14, 10**13)]
    return [packed(text, 400, 1, b"|", None) for text in texts]


def packed(text: bytes, rows: int, width: int, delimiter: bytes, quote: bytes | None, *, doubled: bool = True) -> bytes:
    return struct.pack("=iiiiqq", delimiter[0], quote[0] if quote else -1, doubled, width, rows, len(text)) + text


def record(chance: random.Random, width: int, delimiter: bytes, quote: bytes | None) -> bytes:
    cells = []
    for _ in range(width):
        cell = b"".join(chance.choices(WELL_FORMED, k=chance.randint(0, 3)))
        if quote is None or (chance.random() < 0.5 and not set(cell) & set(quote + delimiter)):
            cells.append(cell.replace(delimiter, b""))
        else:
            inside = cell + chance.choice([b"", b"\n", b"\r\n", delimiter, quote])
            cells.append(quote + inside.replace(quote, quote * 2) + quote)
    return delimiter.join(cells) + chance.choice([b"\n", b"\r\n"])
