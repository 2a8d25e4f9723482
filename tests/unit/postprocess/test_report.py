"""The report is one file that anybody can open, shows data as data, and looks like something in a real browser."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import zlib
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from postprocess.drift import EarlierDay, build_drift, read_columns
from postprocess.inputs import read_local_inputs, read_rejected_rows
from postprocess.metrics import RunContext, RunIdentity, build_metrics
from postprocess.parts import read_predictions
from postprocess.report import formatting, render
from postprocess.report.charts import draw_bars
from postprocess.timeline import Leg
from tests.unit.postprocess.leftovers import Scored, many_rows, write_analysis, write_clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVIL = "<script>alert(1)</script>"

TIMELINE = [
    Leg("preprocess", 0, 1, "SPOT", "p", 0.0, 70.0, 110.0, "RECLAIMED"),
    Leg("preprocess", 0, 2, "ON_DEMAND", "p", 110.0, 170.0, 300.0, "SUCCEEDED"),
    Leg("analysis", 1, 1, "SPOT", "a", 305.0, 420.0, 1500.0, "Spot.Interrupted"),
    Leg("analysis", 2, 1, "ON_DEMAND", "b", 1560.0, 1700.0, 2500.0, "SUCCEEDED"),
    Leg("postprocess", 0, 1, "ON_DEMAND", "q", 2505.0, 2520.0, None, None),
]
COST = {
    "currency": "USD",
    "prices_as_of": "2013-02",
    "total": 1.23456,
    "saved": 0.354,
    "wasted": 0.0042,
    "hours": {"SPOT": 0.6, "ON_DEMAND": 0.444},
    "costs": {"SPOT": 0.236, "ON_DEMAND": 0.99856},
    "jobs": [],
}


def report(folder: Path, *, before: bool = False) -> str:
    inputs = read_local_inputs(folder)
    predictions = read_predictions(inputs.analysed) if inputs.analysed else None
    quality = inputs.cleaned.quality
    rows = inputs.cleaned.manifest.rows_clean
    earlier = []
    if before:
        metrics = build_metrics(RunIdentity("f"), inputs, predictions, RunContext())["metrics"]
        earlier = [EarlierDay(f"2013020{day}", metrics, read_columns(quality, rows)) for day in (7, 8)]
    run = RunIdentity(file=f"data/flights/20130209/{EVIL}.csv", run_id="run", dataset="flights", day="20130209")
    drift = build_drift(read_columns(quality, rows), earlier)
    context = RunContext(drift, TIMELINE, COST) if before else RunContext(drift)
    document = build_metrics(run, inputs, predictions, context)
    return render(document, quality, predictions, read_rejected_rows(inputs.cleaned)).decode()


@pytest.fixture
def whole(tmp_path: Path) -> str:
    """A report with everything in it."""
    clean = write_clean(tmp_path / "clean", clean=4000, rejected=3, raw=f"1,{EVIL},\xff".encode("latin-1"))
    return report(
        write_analysis(tmp_path / "analysis", clean, [many_rows()], resumed_from=40, generation=2), before=True
    )


class Page(HTMLParser):
    """What a browser would fetch or run, and which headings there are."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts = 0
        self.headings: list[str] = []
        self._in_heading = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self._in_heading = tag in ("h1", "h2")
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        self.scripts += sum(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.headings.append(data)
            self._in_heading = False


def test_it_fetches_nothing_and_runs_nothing(whole: str) -> None:
    page = Page(whole)

    assert page.fetched == []
    assert page.scripts == 0
    assert set(re.findall(r"url\((.)", whole)) <= {"#"}
    assert "@import" not in whole


def test_it_says_what_a_person_asks(whole: str) -> None:
    assert Page(whole).headings == [
        "flights 2013-02-09",
        "The data",
        "Against the days before",
        "The model",
        "The most surprising rows",
        "The columns",
        "How it ran",
    ]
    assert "resumed from the checkpoint of round 40" in whole


def test_it_shows_how_the_run_went(whole: str) -> None:
    assert "Spot took instances back twice; the training went on from the checkpoint of round 40" in whole
    assert "the analysis fell back to On-Demand. Jobs waited 7 min in all for room to run." in whole
    for part in ("preprocess, attempt 2", "gang 1", "gang 2", "reclaimed", "done, from round 40 on", "running"):
        assert part in whole


def test_it_shows_what_the_run_cost(whole: str) -> None:
    for text in ("$1.23", "Spot saved $0.35", "wasted by reclaims", "$0.0042", "prices of 2013-02", "0.444"):
        assert text in whole


def test_an_uneventful_run_of_unknown_cost_has_a_report_too(tmp_path: Path) -> None:
    clean = write_clean(tmp_path / "clean", analyse=False)
    inputs = read_local_inputs(clean)
    document = build_metrics(RunIdentity("f"), inputs, None, RunContext(timeline=[TIMELINE[4]]))

    html = render(document, inputs.cleaned.quality, None, []).decode()

    assert "Nothing was reclaimed. Jobs waited 15.0 s in all" in html
    assert "cost" not in html.split("</style>")[1]


def test_data_is_shown_as_data(whole: str) -> None:
    assert EVIL not in whole
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in whole
    assert EVIL not in draw_bars([{"label": EVIL, "value": 1}])


def test_it_stays_small_however_many_rows_there_are(tmp_path: Path) -> None:
    clean = write_clean(tmp_path / "clean")
    few = report(write_analysis(tmp_path / "few", clean, [many_rows(rows=2_000)]))
    many = report(write_analysis(tmp_path / "many", clean, [many_rows(rows=200_000)]))

    assert len(many) < 250_000
    assert len(many) < 1.6 * len(few)


def test_a_run_without_a_model_has_a_report_too(tmp_path: Path) -> None:
    html = report(write_clean(tmp_path / "clean", analyse=False, rejected=0))

    assert "The contract names no target" in html
    assert "Every row is clean." in html


def test_a_file_without_rows_has_a_report_too(tmp_path: Path) -> None:
    html = report(write_clean(tmp_path / "clean", clean=0, rejected=0, analyse=False))

    assert "No row is clean" in html


def test_probabilities_are_shown_against_what_was_observed(tmp_path: Path) -> None:
    member = Scored((True, False, True), (0.9, 0.2, 0.6), ("train", "validation", "validation"), task="binary")
    html = report(write_analysis(tmp_path / "analysis", write_clean(tmp_path / "clean"), [member]))

    assert "Predicted and observed" in html
    assert "AUC" in html


@pytest.mark.parametrize(
    "member",
    [
        Scored((5.0, 5.0), (5.0, 5.0), ("train", "validation")),
        Scored((1.0,), (2.0,), ("train",)),
        Scored((None, None), (1.0, 2.0), ("unlabelled", "unlabelled")),
        Scored((3e38, -3e38), (0.0, 0.0), ("validation", "validation")),
    ],
)
def test_odd_data_makes_a_report_all_the_same(tmp_path: Path, member: Scored) -> None:
    assert "</html>" in report(write_analysis(tmp_path / "analysis", write_clean(tmp_path / "clean"), [member]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1234567.0, "1,235,000"),
        (0.00012345, "0.0001234"),
        (-2.5, "\N{MINUS SIGN}2.5"),
        (1.5e300, "1.5e+300"),
    ],
)
def test_measurements_are_written_for_people(value: float, text: str) -> None:
    assert formatting.format_number(value) == text


CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to look at the report with")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [500, 1200])
def test_a_browser_draws_it_in_light_and_dark_on_a_phone_and_a_desk(
    whole: str, tmp_path: Path, width: int, dark: bool
) -> None:
    assert CHROMIUM is not None
    page, picture = tmp_path / "report.html", tmp_path / "report.png"
    page.write_text(whole, encoding="utf-8")

    subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--hide-scrollbars",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},1500",
            f"--screenshot={picture}",
            page.as_uri(),
        ],
        capture_output=True,
        timeout=90,
        check=True,
    )

    rows = pixels(picture.read_bytes())
    assert len(rows) == 1500
    paper = rows[4][4]
    assert (sum(paper) < 150) is dark
    colours = {pixel for row in rows[::3] for pixel in row[::3]}
    assert len(colours) > 40, "an empty or broken page has few colours"
    assert all(row[-4] == paper for row in rows[:1400]), "something reaches over the right edge"


def pixels(png: bytes) -> list[list[tuple[int, int, int]]]:
    """The pixels of a PNG with 8 bits a channel, row by row (filters as in the PNG specification, section 9)."""
    width, height, _, kind = struct.unpack(">IIBB", png[16:26])
    size = {2: 3, 6: 4}[kind]
    data = zlib.decompress(b"".join(_chunks(png)))
    above = bytearray(width * size)
    rows = []
    for at in range(height):
        start = at * (width * size + 1)
        line = _unfiltered(data[start], bytearray(data[start + 1 : start + 1 + width * size]), above, size)
        rows.append([(line[x], line[x + 1], line[x + 2]) for x in range(0, len(line), size)])
        above = line
    return rows


def _chunks(png: bytes) -> Iterator[bytes]:
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            yield png[at + 8 : at + 8 + length]
        at += 12 + length


def _unfiltered(kind: int, line: bytearray, above: bytearray, size: int) -> bytearray:
    for at in range(len(line)):
        left = line[at - size] if at >= size else 0
        corner = above[at - size] if at >= size else 0
        guess = left + above[at] - corner
        paeth = min((left, above[at], corner), key=lambda value: abs(guess - value))
        line[at] = (line[at] + (0, left, above[at], (left + above[at]) // 2, paeth)[kind]) & 255
    return line


def test_the_report_has_no_remote_address_but_names_of_vocabularies(whole: str) -> None:
    assert set(re.findall(r"https?://[^\"'\s<>]+", whole)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
