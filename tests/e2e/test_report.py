"""The report of a real run, in a real browser: every chart drawn, every figure that of summary.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from store.report import CHARTS
from tests.store.test_report import FLAGS, Visit, agrees, at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Axiom

FITS = """async () => {
    for (let frame = 0; frame < 200; frame++) {  // charts follow their page a few frames later
        if (document.documentElement.scrollWidth <= window.innerWidth) return true;
        await new Promise(requestAnimationFrame);
    }
    return false;
}"""

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def visit(chromium: Path, finished: tuple[Axiom, dict[str, Any]]) -> Iterator[Visit]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=FLAGS)
        visit = Visit(browser.new_page(viewport={"width": 1280, "height": 900}))
        visit.page.goto((finished[0].runs / "whole" / "report.html").as_uri())
        visit.page.wait_for_selector("html[data-ready=true]", timeout=60_000)
        yield visit
        browser.close()


def test_the_browser_fetches_nothing_and_complains_of_nothing(visit: Visit) -> None:
    assert visit.requests == [visit.page.url]
    assert visit.complaints == []


def test_every_chart_is_drawn(visit: Visit) -> None:
    marks: dict[str, int] = visit.page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".chart")].map((chart) => [chart.id,
            [...chart.querySelectorAll(".main-svg .trace path, .main-svg .point path")]
                .filter((path) => (path.getAttribute("d") || "").length > 4).length]))"""
    )
    assert len(marks) == sum(len(group) for group in CHARTS.values())
    empty = [name for name, count in marks.items() if not count]
    # Two minutes leave no fill with a mark five minutes later.
    assert [name for name in empty if "markout" not in name] == []


def test_figures_are_those_of_the_summary_file(visit: Visit, finished: tuple[Axiom, dict[str, Any]]) -> None:
    summary = json.loads((finished[0].runs / "whole" / "summary.json").read_text())
    shown: list[tuple[str, str]] = visit.page.eval_on_selector_all(
        "[data-path]", "all => all.map((one) => [one.dataset.path, one.textContent])"
    )
    assert len(shown) >= 12
    known = [(path, text) for path, text in shown if text != "–"]
    assert [(path, text) for path, text in known if not agrees(text, at(summary, path))] == []
    assert {path for path, text in shown if text == "–"} <= {path for path, _ in shown if "markouts" in path}
    embedded = json.loads(visit.page.text_content("#summary") or "")
    assert {name: summary[name] for name in embedded} == embedded
    assert {"pnl", "positions", "digest", "quality", "markouts", "tick_to_quote_us"} <= set(embedded)


def test_a_synthetic_run_is_called_synthetic_where_the_eye_falls_first(visit: Visit) -> None:
    label = visit.page.locator("[data-label]")
    assert "synthetic market and simulated fills" in (label.text_content() or "").lower()
    box = label.bounding_box()
    assert box is not None
    assert box["y"] < 200


def test_the_page_does_not_scroll_sideways(visit: Visit) -> None:
    for width in (1280, 800, 400):
        visit.page.set_viewport_size({"width": width, "height": 900})
        assert visit.page.evaluate(FITS), width
