"""A synthetic market as a recording: seeded, complete, and called synthetic wherever it shows.

It stands in where no data is at hand. No conclusion about real markets rests on it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from domain.calendar import expiry_day, session, standard_expiry
from domain.chain import Chain
from domain.instrument import OptionContract, option
from domain.price import TICK_CLASSES
from domain.random import generator
from streams.recorded import Step, Tape
from streams.refusals import MINUTE_NS
from streams.synthetic_model import Surface, open_interest, steps
from streams.synthetic_settings import SyntheticSettings

__all__ = ["SyntheticMarket", "SyntheticSettings"]

MAX_EXPIRIES: Final = 20
_WEEKLIES: Final = 6
_REACH: Final = 3.5
"""Strikes reach this many standard deviations to either side, where their number and grid allow."""
_STRIKE_STEPS: Final = (500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000)
"""Distances between strikes, thousandths of a dollar: those of listed chains."""


class SyntheticMarket(Tape):
    """One session of a market that settings and seed determine.

    Attributes:
        settings: What it is made of.
        chain: Its contracts.
        surface: Its true volatilities, which no real market shows.
    """

    settings: SyntheticSettings
    chain: Chain
    surface: Surface

    def __init__(self, settings: SyntheticSettings, seed: int) -> None:
        chain = Chain(settings.symbol, settings.date, list_contracts(settings))
        usual = session(settings.date, "equity_option")
        close_ns = min(usual.close_ns, usual.open_ns + settings.session_minutes * MINUTE_NS)
        hours = msgspec.structs.replace(usual, close_ns=close_ns)
        tick = next(tick for tick in TICK_CLASSES if tick.name == settings.tick)

        def generate() -> Iterator[Step]:
            return steps(settings, chain, tick, hours, generator(seed, "synthetic", settings.symbol))

        super().__init__(
            name=f"synthetic:{settings.symbol}:{settings.trade_date}:seed={seed}",
            is_synthetic=True,
            underlying=settings.symbol,
            hours=hours,
            total_steps=(close_ns - hours.open_ns) // (settings.step_ms * 1_000_000),
            contracts=chain.contracts,
            ticks={settings.symbol: tick},
            steps=generate,
            open_interest=open_interest(settings, chain, tick, generator(seed, "synthetic", settings.symbol)),
        )
        object.__setattr__(self, "settings", settings)
        object.__setattr__(self, "chain", chain)
        object.__setattr__(self, "surface", Surface(settings, chain))


def list_contracts(settings: SyntheticSettings) -> list[OptionContract]:
    """Return the contracts of the chain: strikes around the spot for each of a number of expiries, calls and puts."""
    pairs = settings.contracts // 2
    expiries = expiry_dates(settings.date, min(max(round(0.32 * math.sqrt(pairs)), 2), MAX_EXPIRIES))
    each, more = divmod(pairs, len(expiries))
    contracts: list[OptionContract] = []
    for position, expiry in enumerate(expiries):
        count = each + (position < more)
        years = max((expiry - settings.date).days, 1) / 365
        reach = 2.0 * _REACH * settings.vol * math.sqrt(years) * settings.spot * 1_000
        step = max((step for step in _STRIKE_STEPS if step * count <= reach), default=_STRIKE_STEPS[0])
        lowest = max(round(settings.spot * 1_000 / step) - count // 2, 1) * step
        for strike in np.arange(lowest, lowest + count * step, step).tolist():
            contracts += [option(settings.symbol, expiry, strike, right) for right in ("C", "P")]
    return contracts


def expiry_dates(trade_date: dt.date, count: int) -> list[dt.date]:
    """Return the first expiries after a day, the day itself left out: six weeks of weeklies, then monthlies."""
    friday = trade_date + dt.timedelta(days=(4 - trade_date.weekday()) % 7)
    dates = {expiry_day(friday + dt.timedelta(weeks=week)) for week in range(_WEEKLIES + 1)}
    for month in range(trade_date.month, trade_date.month + MAX_EXPIRIES + 3):
        dates.add(standard_expiry(trade_date.year + (month - 1) // 12, (month - 1) % 12 + 1))
    return sorted(date for date in dates if date > trade_date)[:count]
