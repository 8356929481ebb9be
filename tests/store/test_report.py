"""The report: whole in itself, true to the summary, and drawn by a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from domain.events import RunStarted
from store.charts.figure import local_times, money, percent, rounded
from store.day import Item, read_day
from store.record import RunFacts, RunRecord, record_of
from store.report import CHARTS, page, write_report
from store.summary import SYNTHETIC_LABEL, summarize

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.store.conftest import Tape

LATENCIES = tuple(np.random.default_rng(3).gamma(4.0, 300.0, 400).round(1).tolist())
FACTS = RunFacts(
    run="r1", digest="9f2c" * 8, machine="2 cores", wall_seconds=14.2, peak_rss_mib=412.0, tick_to_quote_us=LATENCIES
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
def record(small_day: list[Item], venues: tuple[str, ...]) -> RunRecord:
    return record_of(read_day(small_day, venues), FACTS)


def test_the_page_names_no_place_to_fetch_from(record: RunRecord) -> None:
    text = page(record)
    ours = text.replace(text[text.index("/**\n* plotly.js") : text.index('"use strict";\n(() =>')], "")
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*""", ours) == []
    assert "default-src 'none'" in ours
    assert text.count("* plotly.js v") == 1


def test_nothing_in_a_run_can_end_a_script_or_open_a_tag(small_day: list[Item], venues: tuple[str, ...]) -> None:
    evil = "</script><script>alert(1)</script>"
    items: list[Item] = [
        (is_input, source, msgspec.structs.replace(event, source=evil) if isinstance(event, RunStarted) else event)
        for is_input, source, event in small_day
    ]
    facts = msgspec.structs.replace(FACTS, machine=evil)
    assert evil not in page(record_of(read_day(items, (evil, *venues[1:])), facts))


def test_a_synthetic_run_says_so_at_the_top(small_day: list[Item]) -> None:
    items: list[Item] = [
        (
            is_input,
            source,
            msgspec.structs.replace(event, is_synthetic=True) if isinstance(event, RunStarted) else event,
        )
        for is_input, source, event in small_day
    ]
    text = page(record_of(read_day(items), FACTS))
    top = text[text.index("<body>") : text.index("<nav")].lower()
    assert SYNTHETIC_LABEL in top
    assert "synthetic, source" in top


def test_every_figure_is_one_that_plotly_knows(record: RunRecord) -> None:
    from plotly import graph_objects

    for draw in (draw for charts in CHARTS.values() for draw in charts):
        figure = draw(record).figure
        coloured = json.loads(re.sub(r'"@[a-z-]+"', '"#123456"', json.dumps(figure, allow_nan=False)))
        graph_objects.Figure(coloured)


def test_a_run_of_nothing_has_a_page_too(tmp_path: Path, tape: Tape) -> None:
    tape.begin()
    tape.end(60_000_000_000)
    path = write_report(tmp_path, record_of(read_day(tape.items), RunFacts()))
    assert "There were no fills." in path.read_text(encoding="utf-8")
    assert not list(tmp_path.glob("*.partial"))


def test_times_are_those_of_new_york() -> None:
    assert local_times([1_450_967_400_000_000_000]) == ["2015-12-24T09:30:00.000"]
    assert local_times([1_436_189_400_000_000_000]) == ["2015-07-06T09:30:00.000"]


def test_numbers_are_written_for_people() -> None:
    assert [money(value) for value in (1234.5, -1234.5, -0.2, None, float("nan"))] == [
        "$1,234",
        "-$1,234",
        "$0",
        "–",
        "–",
    ]
    assert money(0.125, 3) == "$0.125"
    assert [percent(value) for value in (0.5, None)] == ["50.0%", "–"]
    assert rounded([1.23456789, None, float("inf")]) == [1.23457, None, None]


# --- in a browser -----------------------------------------------------------------------------------------------------


class Visit:
    """An open page, and what the browser complained of or asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))


@pytest.fixture(params=["light", "dark"])
def visit(request: pytest.FixtureRequest, chromium: Path, tmp_path: Path, record: RunRecord) -> Iterator[Visit]:
    from playwright.sync_api import sync_playwright

    path = write_report(tmp_path, record)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=FLAGS)
        opened = browser.new_page(color_scheme=request.param, viewport={"width": 1280, "height": 900})
        visit = Visit(opened)
        opened.goto(path.as_uri())
        opened.wait_for_selector("html[data-ready=true]", timeout=60_000)
        yield visit
        browser.close()


@pytest.mark.browser
@pytest.mark.slow
def test_a_browser_draws_every_chart_offline_and_shows_the_figures_of_the_summary(
    visit: Visit, record: RunRecord
) -> None:
    charts: list[dict[str, Any]] = visit.page.evaluate(
        """() => [...document.querySelectorAll(".chart")].map((chart) => ({
            id: chart.id,
            marks: [...chart.querySelectorAll(".main-svg .trace path, .main-svg .point path")]
                .filter((path) => (path.getAttribute("d") || "").length > 4).length,
            width: chart.querySelector(".main-svg").getBoundingClientRect().width,
            room: chart.getBoundingClientRect().width,
        }))"""
    )
    assert [chart["id"] for chart in charts if not chart["marks"]] == []
    assert [chart["id"] for chart in charts if chart["width"] > chart["room"] + 1] == []
    assert {chart["id"] for chart in charts} == {
        f"chart-{draw(record).key}" for group in CHARTS.values() for draw in group
    }
    assert visit.complaints == []
    assert visit.requests == [visit.page.url]

    summary = summarize(record)
    assert json.loads(visit.page.text_content("#summary") or "") == summary
    shown = visit.page.eval_on_selector_all(
        "[data-path]", "all => all.map((one) => [one.dataset.path, one.textContent])"
    )
    assert len(shown) >= 12
    wrong = [(path, text) for path, text in shown if not agrees(text, at(summary, path))]
    assert wrong == []
    assert (visit.page.text_content("[data-label]") or "").lower() == summary["label"].lower()
    assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
@pytest.mark.slow
def test_the_page_prints(visit: Visit, tmp_path: Path) -> None:
    assert visit.page.pdf(path=tmp_path / "report.pdf").startswith(b"%PDF")
    assert visit.complaints == []


def at(summary: dict[str, Any], path: str) -> float:
    """The number at a dotted path. Keys may hold dots themselves."""
    value: Any = summary
    keys = path.split(".")
    while keys:
        length = next(n for n in range(len(keys), 0, -1) if isinstance(value, dict) and ".".join(keys[:n]) in value)
        value, keys = value[".".join(keys[:length])], keys[length:]
    return float(value)


def agrees(text: str, value: float) -> bool:
    """Whether the text is the number, to the digits that it shows."""
    scale = 0.01 if text.endswith("%") else 1.0
    digits = re.sub(r"[$,%]", "", text)
    places = len(digits.partition(".")[2])
    return abs(float(digits) * scale - value) <= 0.5 * scale * 10.0**-places * (1 + 1e-9)
