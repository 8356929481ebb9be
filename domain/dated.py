"""Facts with a date: every row says from when it holds, who says so and how well it is known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

Evidence = Literal[
    # seen in recorded market data or produced by a named program
    "verified",
    # an exchange, clearing house or regulator published it
    "published",
    # a market convention, not checked against a document: no claim may rest on it
    "memory",
]

NOT_STARTED: Final = dt.date.max
"""`valid_from` of a fact that is approved but whose first day is not known: never in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """In force on the days `valid_from <= day < valid_to`; `valid_to` None is open-ended."""

    valid_from: dt.date
    valid_to: dt.date | None = None
    source: str
    evidence: Evidence

    def holds_on(self, day: dt.date) -> bool:
        """Whether the row is in force on that day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


Row = TypeVar("Row", bound=Dated)


def in_force(rows: Iterable[Row], day: dt.date) -> Row | None:
    """Return the first row in force on the day, None where there is none."""
    return next((row for row in rows if row.holds_on(day)), None)


def grouped(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, tuple[Row, ...]]:
    """Return the rows under their keys, each group in the order given."""
    groups: dict[str, tuple[Row, ...]] = {}
    for row in rows:
        groups[key(row)] = (*groups.get(key(row), ()), row)
    return groups
