"""Text that others chose, made printable."""

import pytest

from spotline.text import find_unprintable, make_lines_printable, make_printable


def test_lines_keep_their_ends_and_their_spaces() -> None:
    assert make_lines_printable("a b\u00a0c\n\td\r\x00\u202e\u200d") == "a b\u00a0c\n\\td\\r\\x00\\u202e\u200d"


@pytest.mark.parametrize(
    "one", ["\x00", "\n", "\x7f", "\x9f", "\u2028", "\u2029", "\u061c", "\u2066", "\ufffe", "\uffff", "\udc00"]
)
def test_what_nobody_sees_is_found(one: str) -> None:
    assert find_unprintable(f"a{one}b") == one
    assert make_printable(one) == one.encode("unicode_escape").decode()


@pytest.mark.parametrize("text", ["", "a b.csv", "météo ☃.csv", "\\", "\u200d"])
def test_in_a_text_that_people_can_read_nothing_is_found(text: str) -> None:
    assert find_unprintable(text) is None


def test_only_what_cannot_be_seen_is_escaped() -> None:
    assert make_printable("météo ☃\n\\.csv") == "météo ☃\\n\\.csv"


def test_a_long_text_loses_its_middle() -> None:
    assert make_printable("a" * 10 + "b" * 10, 20) == "a" * 10 + "b" * 10
    assert make_printable("a" * 10 + "x" + "b" * 10, 20) == "a" * 10 + "..." + "b" * 10
    assert len(make_printable("x" * 1000)) == 203


def test_a_text_of_200_characters_is_shown_whole() -> None:
    assert make_printable("x" * 200) == "x" * 200
    assert "..." in make_printable("x" * 201)
