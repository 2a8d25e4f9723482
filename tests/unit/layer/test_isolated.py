"""`isolate`: what fails for one thing is noted by name, logged, and over."""

from __future__ import annotations

import logging

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from spotline.documents import DocumentError
from spotline.isolation import isolate

DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")
ENDPOINT = EndpointConnectionError(endpoint_url="https://s3")
DAMAGED = DocumentError("contracts/flights.json", "is not JSON")


def fail(what: str, error: Exception) -> list[str]:
    def work() -> None:
        raise error

    failed: list[str] = []
    with isolate(what, failed):
        work()
    return failed


@pytest.mark.parametrize(
    ("error", "noted"),
    [
        (DENIED, f"flights: ClientError: {DENIED}"),
        (ENDPOINT, f"flights: EndpointConnectionError: {ENDPOINT}"),
        (DAMAGED, f"flights: DocumentError: {DAMAGED}"),
    ],
)
def test_an_expected_failure_is_noted_and_logged_without_a_traceback(
    error: Exception, noted: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert fail("flights", error) == [noted]
    [line] = caplog.records
    assert (line.levelno, line.message, line.exc_info) == (logging.ERROR, "failed, the others go on", None)
    assert (vars(line)["failed"], vars(line)["reason"]) == ("flights", str(error))


def test_a_fault_of_the_program_is_noted_and_its_traceback_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = ZeroDivisionError("nobody thought of this")
    assert fail("flights", error) == ["flights: ZeroDivisionError: nobody thought of this"]
    [line] = caplog.records
    assert line.message == "failed by a fault of the program, the others go on"
    assert vars(line)["failed"] == "flights"
    assert line.exc_info is not None
    assert line.exc_info[1] is error


@pytest.mark.parametrize("error", [DENIED, ZeroDivisionError()])
def test_a_name_is_noted_in_a_way_that_people_can_read(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    [noted] = fail("a\nb", error)
    assert noted.startswith(r"a\nb: ")
    assert vars(caplog.records[0])["failed"] == r"a\nb"


def test_what_does_not_fail_is_not_noted(caplog: pytest.LogCaptureFixture) -> None:
    failed = ["before"]
    with isolate("flights", failed):
        pass
    assert failed == ["before"]
    assert caplog.records == []


def test_a_process_that_is_stopped_is_stopped() -> None:
    with pytest.raises(KeyboardInterrupt), isolate("flights", []):
        raise KeyboardInterrupt
