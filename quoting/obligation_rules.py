"""Quoting obligations as dated rows: what a role at a venue asks of a market maker, and which series count."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from domain.calendar import expiry_day, is_session, next_session
from domain.chain import Chain
from domain.dated import Dated, Evidence

Measure = Literal[
    # seconds of quoting of each series, added up, against seconds of all series in scope
    "collective",
    # time during which enough of the series were quoted at once, against the time of the session
    "at_once",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObligationRule(Dated):
    """One role's obligation in an underlying.

    Attributes:
        name: Of the role; rows of one name follow each other in time.
        measure: What is counted.
        required_share: Of the denominator, in (0, 1].
        max_width: Widest quote that counts, dollars; None where the rule sets none.
        series_share: For `at_once`: the lesser of this share of the series and all minus one call-put pair must be
            quoted.
        skips_adjusted: Whether series changed by a corporate action are out of scope.
        skips_quarterly: Whether quarterly series are out of scope.
        long_term_months: Series with at least this many months left are out of scope; None keeps them.
        index_long_term_months: The same for cash-settled classes.
    """

    name: str
    measure: Measure
    required_share: float
    max_width: float | None = 5.0
    series_share: float = 1.0
    skips_adjusted: bool = True
    skips_quarterly: bool = True
    long_term_months: int | None = 9
    index_long_term_months: int | None = 12


_NOTICES: Final = "Nasdaq ORA2018-17 (NOM and BX) and ORA2018-35 (ISE, GEMX and MRX); they restate rules in force"
_NOTICED: Final = dt.date(2018, 7, 18)
"""Date of ORA2018-17. ISE and MRX filed on their obligations in November 2018 (83 FR 58649 and 58665), just before the
notice on them: until then theirs may have been others."""

_BEFORE: Final = (
    "terms of the notices of 2018 assumed before them, their text not read. What may have set them: NOM, 75 FR 59311 "
    "(2010) and 79 FR 52086 (2014); BX, 79 FR 50971 (August 2014, which introduced its lead market makers)"
)
_MIAX_BEFORE: Final = "terms of the MIAX summary of 2015 assumed since 78 FR 17958, whose text was not read"

_MIAX_SUMMARY: Final = dt.date(2015, 4, 9)
_MIAX: Final[tuple[tuple[dt.date, dt.date | None, str, Evidence], ...]] = (
    (dt.date(2013, 3, 25), _MIAX_SUMMARY, _MIAX_BEFORE, "memory"),
    (_MIAX_SUMMARY, None, "MIAX, Market Maker Requirements Currently in Effect, 9 April 2015 (Rule 604)", "published"),
)

OBLIGATION_RULES: Final = (
    # Market makers of NOM and BX, competitive market makers of ISE, GEMX and MRX.
    ObligationRule(
        name="nasdaq_market_maker",
        measure="collective",
        required_share=0.60,
        valid_from=dt.date(2010, 1, 1),
        valid_to=_NOTICED,
        source=_BEFORE,
        evidence="memory",
    ),
    ObligationRule(
        name="nasdaq_market_maker",
        measure="collective",
        required_share=0.60,
        valid_from=_NOTICED,
        source=_NOTICES,
        evidence="published",
    ),
    # Lead market makers of BX, primary market makers of ISE, GEMX and MRX.
    ObligationRule(
        name="nasdaq_primary",
        measure="collective",
        required_share=0.90,
        valid_from=dt.date(2010, 1, 1),
        valid_to=_NOTICED,
        source=_BEFORE,
        evidence="memory",
    ),
    ObligationRule(
        name="nasdaq_primary",
        measure="collective",
        required_share=0.90,
        valid_from=_NOTICED,
        source=_NOTICES,
        evidence="published",
    ),
    # Primary lead market makers of MIAX: long-term series count, adjusted ones do not. In-the-money series may be as
    # wide as the underlying's own quote; that allowance is left out, so that what is measured is never better than the
    # rule's own count.
    *(
        ObligationRule(
            name="miax_primary_lead",
            measure="at_once",
            required_share=0.90,
            series_share=0.99,
            skips_quarterly=False,
            long_term_months=None,
            index_long_term_months=None,
            valid_from=valid_from,
            valid_to=valid_to,
            source=source,
            evidence=evidence,
        )
        for valid_from, valid_to, source, evidence in _MIAX
    ),
)


def add_months(day: dt.date, months: int) -> dt.date:
    """The same day of a later month, or that month's last day where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = (dt.date(year + (month == 11), (month + 1) % 12 + 1, 1) - dt.timedelta(days=1)).day
    return dt.date(year, month + 1, min(day.day, last))


def is_quarterly(expiry: dt.date) -> bool:
    """Whether an expiration date is that of a quarterly series: a quarter's last session, unless the week ends there.

    A weekly series that expires on the same day (a Friday, or the session before a Friday holiday) looks alike in its
    symbol and is taken for the weekly one, which counts.
    """
    day = expiry_day(expiry)
    following = next_session(day)
    is_quarter_end = day.month % 3 == 0 and following.month != day.month
    friday = day + dt.timedelta(days=(4 - day.weekday()) % 7)
    ends_week = day == friday or (not is_session(friday) and following > friday)
    return is_quarter_end and not ends_week


def in_scope(rule: ObligationRule, chain: Chain) -> npt.NDArray[np.bool_]:
    """The series of a chain that a rule counts, bool, shape (n,)."""
    is_index = chain.contracts[0].delivery == "cash"
    months = rule.index_long_term_months if is_index else rule.long_term_months
    horizon = None if months is None else add_months(chain.trade_date, months)
    counts = np.array([
        (horizon is None or expiry < horizon) and not (rule.skips_quarterly and is_quarterly(expiry))
        for _, expiry in chain.expiries
    ])  # fmt: skip
    scope: npt.NDArray[np.bool_] = counts[chain.expiry_index]
    return scope & ~chain.is_adjusted if rule.skips_adjusted else scope
