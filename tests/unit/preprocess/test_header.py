"""Headers, comments and files that are not ours: a named outcome, with file, line and way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from preprocess.refusals import DataRefused
from tests.unit.preprocess.rehearsal import contract_of, run

if TYPE_CHECKING:
    from pathlib import Path

FIELDS: tuple[dict[str, Any], ...] = ({"name": "id", "type": "integer"}, {"name": "price", "type": "number"})
PLAIN = contract_of(*FIELDS)

REFUSED: list[tuple[bytes, str]] = [
    (b"", "x.csv: empty; send the right file"),
    (b"\xef\xbb\xbf", "x.csv: empty"),
    (b"\n\n", "x.csv: empty"),
    (b"id\n1\n", "line 1: the header lacks the column 'price'; it begins 'id'"),
    (b"id,Price\n1,2\n", "lacks the column 'price'; is 'Price' meant for it"),
    (b"a,b,c,d,e,f\n", "lacks 2 columns: 'id', 'price'; it begins 'a', 'b', 'c', 'd', 'e', ..."),
    (b"id;price\n1;2\n", "looks delimited by ';', where the contract says ','"),
    (b"id,price,id\n", "the column 'id' stands twice"),
    (b'id,"pri"ce\n', "the quotes in the header do not match"),
    (b"\nid,price\n", "line 1: the header lacks 2 columns"),
    (b"\xff\xd8\xff\xe0JFIF,\n", "line 1, byte 1 is not UTF-8"),
    (
        "id,price\n".encode("utf-16-le"),
        "line 1 holds NUL bytes: this is no CSV file, or UTF-16 without byte-order mark",
    ),
    (b"x" * (1 << 21), "line 1 is longer than 1024 KiB; is this a CSV file"),
]


@pytest.mark.parametrize(("data", "message"), REFUSED)
def test_a_file_that_is_not_ours_is_refused_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(DataRefused) as caught:
        run(tmp_path, data, PLAIN)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "output" / "manifest.json").exists()
    report = (tmp_path / "output" / "quality.json").read_text()
    assert '"accepted": false' in report


def test_a_header_alone_is_refused_unless_the_contract_bears_it(tmp_path: Path) -> None:
    strict = contract_of(*FIELDS, spotline={"tolerance": {"maxRejectedShare": 0, "minRows": 1}})

    with pytest.raises(DataRefused, match="holds a header and no rows"):
        run(tmp_path, b"id,price\n", strict)

    found = run(tmp_path, b"id,price\n", PLAIN)
    assert (found.manifest.rows_read, found.manifest.shards, found.manifest.analyse) == (0, (), False)


def test_order_does_not_matter_and_extra_columns_are_named(tmp_path: Path) -> None:
    found = run(tmp_path, b"extra, price ,id,more\nx,2.5,1,y\n\xff,3.5,2,z\na,b\n", PLAIN)

    assert found.clean == [(("int", "1"), ("float", "2.5"))]
    assert [row.reasons[0][0] for row in found.rejected] == ["encoding", "fieldCount"]
    assert found.quality["extra_columns"] == ["extra", "more"]


def test_a_file_without_header_is_read_by_position(tmp_path: Path) -> None:
    found = run(tmp_path, b"1,2.5\n3\n", contract_of(*FIELDS, dialect={"header": False}))

    assert found.clean == [(("int", "1"), ("float", "2.5"))]
    assert [(row.record, row.line, row.offset) for row in found.rejected] == [(2, 2, 6)]


def test_comment_rows_and_comment_lines_before_and_after_the_header_are_no_data(tmp_path: Path) -> None:
    dialect = {"commentChar": "#", "commentRows": [1, 3]}
    data = b'exported "today\n#c\nid,price\n1,2.5\n#id,price\nx,2\n'

    with pytest.raises(DataRefused, match="line 3"):
        run(
            tmp_path,
            b'exported "today\n#c\nunits,eur\nid,price\n',
            contract_of(*FIELDS, dialect={"commentRows": [1, 2]}),
        )
    found = run(tmp_path, data.replace(b"#c\n", b""), contract_of(*FIELDS, dialect=dialect))

    assert found.manifest.rows_read == 1
    assert [(row.record, row.line, row.raw) for row in found.rejected] == [(1, 5, b"x,2\n")]
    assert found.quality["comments"] == 1


def test_units_below_the_header_are_a_comment_row(tmp_path: Path) -> None:
    found = run(tmp_path, b"id,price\n-,eur\n1,2.5\n", contract_of(*FIELDS, dialect={"commentRows": [2]}))

    assert (found.manifest.rows_read, found.rejected) == (1, [])


def test_a_blank_line_is_no_row_of_a_file_with_one_column(tmp_path: Path) -> None:
    found = run(tmp_path, b'a\nx\n\n""\ny,z\n', contract_of({"name": "a"}))

    assert found.clean == [("x",), (None,)]
    assert [row.reasons for row in found.rejected] == [[("blankRow", None, None)], [("fieldCount", None, "2")]]


def test_other_delimiters_and_quotes_are_read(tmp_path: Path) -> None:
    contract = contract_of(*FIELDS, {"name": "note"}, dialect={"delimiter": "\t", "quoteChar": "'"})

    found = run(tmp_path, b"id\tprice\tnote\n1\t2.5\t'a\tb \"c\" ''d'''\n", contract)

    assert found.clean[0][2] == "a\tb \"c\" 'd'"
