"""Log lines are shown for what they say, whatever wrote them."""

import pytest

from announce.loglines import last_word, quality_report, readable


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ('{"timestamp": "t", "level": "INFO", "run_id": "r", "message": "reading", "bytes": 12}', "reading bytes=12"),
        ('{"event": "round", "generation": 2, "member": 0, "round": 40}', "round generation=2 member=0 round=40"),
        (
            '{"level": "ERROR", "message": "broke", "exception": "Traceback\\n  x\\nKeyError: 1"}',
            "ERROR broke KeyError: 1",
        ),
        ("[1, 2]", "[1, 2]"),
        ("", ""),
    ],
)
def test_a_line_is_shown_without_its_envelope(line: str, shown: str) -> None:
    assert readable([line]) == [shown]


def test_the_last_error_is_the_program_s_last_word() -> None:
    lines = ['{"level": "ERROR", "message": "first"}', '{"level": "ERROR", "message": "second"}', '{"event": "bye"}']

    assert last_word(lines) == "second"


def test_a_member_s_reason_for_leaving_is_its_last_word() -> None:
    assert last_word(['{"event": "leaving", "code": 75, "reason": "a Spot notice"}']) == "a Spot notice"


def test_plain_lines_can_be_errors_too() -> None:
    assert last_word(["INFO fine", "ERROR 8 of 9 rows", "INFO bye"]) == "8 of 9 rows"


def test_a_program_that_said_nothing_is_not_quoted() -> None:
    assert last_word(["INFO fine", '{"event": "round"}']) == ""
    assert last_word([]) == ""


def test_the_report_s_address_is_the_one_in_the_log() -> None:
    assert quality_report(['{"message": "the report is s3://b/runs/x/quality.json"}']) == "s3://b/runs/x/quality.json"
    assert quality_report(["no report"]) is None
