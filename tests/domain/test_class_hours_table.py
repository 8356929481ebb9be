"""Which option classes trade beyond the primary market's close, and since when that is known."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest

from domain.calendar import session
from domain.class_hours_table import CLASS_HOURS, class_hours
from domain.roots_table import ROOT_TERMS

MINUTE_NS = 60_000_000_000


@pytest.mark.parametrize(
    ("underlying", "day", "kind"),
    [
        ("SPY", dt.date(2023, 8, 3), "etf_option"),
        ("DIA", dt.date(2015, 12, 24), "etf_option"),
        ("XLF", dt.date(2022, 3, 29), "equity_option"),
        ("XLF", dt.date(2022, 3, 30), "etf_option"),
        ("GOOG", dt.date(2015, 12, 24), "equity_option"),
        ("SPY1", dt.date(2023, 8, 3), "equity_option"),
    ],
)
def test_a_class_keeps_the_hours_of_its_row_from_its_day_on(underlying: str, day: dt.date, kind: str) -> None:
    assert class_hours(underlying, day) == kind


@pytest.mark.parametrize("day", [dt.date(2023, 8, 3), dt.date(2023, 7, 3)])
def test_classes_with_a_row_close_a_quarter_of_an_hour_after_the_others(day: dt.date) -> None:
    stock, late = session(day, class_hours("AAPL", day)), session(day, class_hours("SPY", day))
    assert (late.open_ns, late.close_ns - stock.close_ns) == (stock.open_ns, 15 * MINUTE_NS)


def test_every_row_says_who_says_so_and_no_class_has_two() -> None:
    assert all(row.source for row in CLASS_HOURS)
    assert [name for name, count in Counter(row.underlying for row in CLASS_HOURS).items() if count > 1] == []
    cash_settled = {row.underlying for row in ROOT_TERMS if row.delivery == "cash"}
    assert not cash_settled & {row.underlying for row in CLASS_HOURS}
