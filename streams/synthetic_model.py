"""The made-up market behind `streams.synthetic`: how its underlying, its volatilities, its quotes and its orders move.

Rates and dividends are zero. Then the forward is the spot and early exercise is worth nothing, so that the European
formula is the exact value of these American options and the truth is known to the last digit.

Sources: surface, Gatheral and Jacquier (2014), Quantitative Finance 14, 59-71 (SSVI); variance term structure, Heston
(1993), Review of Financial Studies 6, 327-343; jumps, Merton (1976), J. Financial Economics 3, 125-144.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.calendar import YEAR_NS, Session
from domain.chain import Chain
from domain.frames import NbboFrame, OpenInterestFrame, TradeFrame
from domain.price import PRICE_SCALE, TickClass, round_down, round_up
from pricing import black
from streams.recorded import Step, StockBar, StockQuote
from streams.synthetic_settings import SyntheticSettings

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SESSION_SECONDS: Final = 23_400
SESSIONS_PER_YEAR: Final = 252
"""The underlying moves in sessions only: 252 of 6.5 hours make a year of its variance."""

CENT: Final = PRICE_SCALE // 100
_LOT: Final = 100
_SHAPE: Final = (0.7, 0.9)
"""Volatility over the session, a + b x^2 with x from -1 at the open to 1 at the close, before scaling to rms 1."""
_SHAPE_RMS: Final = math.sqrt(_SHAPE[0] ** 2 + 2 * _SHAPE[0] * _SHAPE[1] / 3 + _SHAPE[1] ** 2 / 5)
_NOISE_MEMORY: Final = 0.8
_MAX_ABSENT: Final = 0.2


class Surface:
    """The true surface: SSVI in k = ln(strike / spot), its level a function of today's at-the-money volatility."""

    def __init__(self, settings: SyntheticSettings, chain: Chain) -> None:
        self._settings = settings
        self._chain = chain

    def years(self, ts: int) -> Floats:
        """Years to each expiry, ACT/365, shape (m,), at least a second."""
        return np.maximum((self._chain.expiry_ns - ts) / YEAR_NS, 1.0 / (365 * 86_400))

    def total_variance(self, spot: float, level: float, ts: int) -> Floats:
        """Total variance of each contract, shape (n,), when the at-the-money volatility of the instant is `level`.

        At the money it is the integral of a variance that reverts from level^2 to vol^2; in the strike it is SSVI with
        phi = skew_eta / sqrt(theta (1 + theta)), free of butterfly and calendar arbitrage as eta (1 + |rho|) <= 2.
        """
        s = self._settings
        years = self.years(ts)
        reverted = -np.expm1(-s.vol_reversion * years) / s.vol_reversion
        theta_of = s.vol**2 * years + (level**2 - s.vol**2) * reverted
        phi_of = s.skew_eta / np.sqrt(theta_of * (1.0 + theta_of))
        theta, phi = theta_of[self._chain.expiry_index], phi_of[self._chain.expiry_index]
        z = phi * np.log(self._chain.strike / spot)
        result: Floats = 0.5 * theta * (1.0 + s.skew_rho * z + np.sqrt((z + s.skew_rho) ** 2 + 1.0 - s.skew_rho**2))
        return result

    def vols(self, spot: float, level: float, ts: int) -> Floats:
        """True implied volatility of each contract, ACT/365, shape (n,)."""
        return np.sqrt(self.total_variance(spot, level, ts) / self.years(ts)[self._chain.expiry_index])

    def theos(self, spot: float, level: float, ts: int) -> Floats:
        """True value of each contract in dollars per share, shape (n,)."""
        total_vol = np.sqrt(self.total_variance(spot, level, ts))
        return black.price(spot, self._chain.strike, total_vol, 1.0, self._chain.sign)


class SpotAndVol:
    """Spot and at-the-money volatility.

    The spot is a jump-diffusion whose day is U-shaped; the log of the volatility reverts, and leans against the spot.
    """

    def __init__(self, settings: SyntheticSettings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng
        self.spot = settings.spot
        self.level = settings.vol

    def advance(self, seconds: float, progress: float) -> None:
        """Move on. `progress` is the share of the session that has passed, 0 to 1."""
        s, rng = self._settings, self._rng
        dt = seconds / (SESSION_SECONDS * SESSIONS_PER_YEAR)
        shape = (_SHAPE[0] + _SHAPE[1] * (2.0 * progress - 1.0) ** 2) / _SHAPE_RMS
        own, other = rng.standard_normal(2)
        jumps = int(rng.poisson(s.jumps_per_day * seconds / SESSION_SECONDS))
        jump = s.jump_size * float(rng.standard_normal(jumps).sum()) if jumps else 0.0
        scale = self.level * shape * math.sqrt(dt)
        move = scale * own - 0.5 * scale**2 + jump
        idle = math.sqrt(1.0 - s.leverage**2) * s.vol_of_vol * shape * math.sqrt(dt) * other
        lean = s.leverage * s.vol_of_vol / s.vol * move
        self.spot *= math.exp(move)
        self.level *= math.exp(s.vol_reversion * dt * math.log(s.vol / self.level) + lean + idle)


class Crowd:
    """The other participants: who quotes each contract, how wide, how large, and who trades with them."""

    def __init__(self, settings: SyntheticSettings, chain: Chain, tick: TickClass, rng: np.random.Generator) -> None:
        self._settings = settings
        self._tick = tick
        self._rng = rng
        n = len(chain)
        years = np.maximum((chain.expiry_ns - chain.expiry_ns.min()) / YEAR_NS, 0.0)[chain.expiry_index] + 0.02
        distance = np.log(chain.strike / settings.spot) / (settings.vol * np.sqrt(years))
        interest = np.exp(-0.5 * np.minimum(np.abs(distance), 8.0) ** 2 - years / 0.5)
        self._orders = np.cumsum(interest / interest.sum())
        self._width = np.exp(0.2 * rng.standard_normal(n))
        self._depth = 1.0 + 60.0 * interest * np.exp(0.5 * rng.standard_normal(n))
        self._noise = 0.3 * rng.standard_normal(n)
        # Far from the money the offer, too, may be missing for a while.
        self._absent_share = np.minimum(settings.absent_share * (1.0 + distance**2), _MAX_ABSENT)
        self._has_bid = rng.random(n) >= self._absent_share
        self._has_ask = rng.random(n) >= self._absent_share
        self.open_interest = np.floor(5_000.0 * interest * np.exp(rng.standard_normal(n))).astype(np.int64)
        self.bid = np.zeros(n, np.int64)
        self.ask = np.zeros(n, np.int64)
        self.bid_size = np.zeros(n, np.int64)
        self.ask_size = np.zeros(n, np.int64)

    def requote(self, theos: Floats) -> NbboFrame:
        """Move the quotes after the theos, shape (n,), dollars, and return those that changed.

        Each quote stands around the theo plus the opinion of those who make it; some miss a change for a step or more.
        """
        s, rng = self._settings, self._rng
        n = len(theos)
        self._change_minds(n)
        half = self._width * (s.half_spread + s.half_spread_root * np.sqrt(np.maximum(theos, 0.0)))
        centre = theos + half * self._noise
        bid = np.where(self._has_bid, round_down(np.maximum(centre - half, 0.0), self._tick), 0)
        ask = np.where(self._has_ask, round_up(np.maximum(centre, 0.0) + half, self._tick), 0)
        changed = np.flatnonzero((bid != self.bid) | (ask != self.ask))
        rows = changed[rng.random(len(changed)) >= s.missed_updates]
        self.bid[rows], self.ask[rows] = bid[rows], ask[rows]
        sizes = 1 + rng.poisson(self._depth[rows], (2, len(rows)))
        self.bid_size[rows] = np.where(bid[rows] > 0, sizes[0], 0)
        self.ask_size[rows] = np.where(ask[rows] > 0, sizes[1], 0)
        return NbboFrame(rows, self.bid[rows], self.bid_size[rows], self.ask[rows], self.ask_size[rows])

    def _change_minds(self, n: int) -> None:
        s, rng = self._settings, self._rng
        some = rng.integers(0, n, int(rng.poisson(s.opinion_changes * n)))
        if not len(some):
            return
        fresh = math.sqrt(1.0 - _NOISE_MEMORY**2) * s.noise * rng.standard_normal(len(some))
        self._noise[some] = np.clip(_NOISE_MEMORY * self._noise[some] + fresh, -0.9, 0.9)
        self._has_bid[some] = rng.random(len(some)) >= self._absent_share[some]
        self._has_ask[some] = rng.random(len(some)) >= self._absent_share[some]

    def trade(self, theos: Floats, seconds: float) -> TradeFrame:
        """Let orders arrive against the standing quotes, and return what printed: one row for each contract.

        Orders are Poisson over the chain, rarer with distance from the money and with maturity. Most are noise; some
        know the new theo. They print at the touch, inside it (an auction improved them), or a tick through it.

        Args:
            theos: Theos after the step, dollars, shape (n,): what the informed know.
            seconds: Length of the step.
        """
        s, rng = self._settings, self._rng
        count = int(rng.poisson(s.orders_per_minute * seconds / 60.0))
        drawn_rows = np.searchsorted(self._orders, rng.random(count), side="right")
        rows = np.unique(np.minimum(drawn_rows, len(theos) - 1))
        n = len(rows)
        bid, ask = self.bid[rows], self.ask[rows]
        drawn = rng.random((3, n))
        theo_units = theos[rows] * PRICE_SCALE
        pull = np.clip((theo_units - 0.5 * (bid + ask)) / np.maximum(0.5 * (ask - bid), 1.0), -4.0, 4.0)
        buys = drawn[0] < 1.0 / (1.0 + np.exp(-s.informed * pull))
        touch = np.where(buys, ask, bid)
        width = np.where((bid > 0) & (ask > 0), ask - bid, 0)
        depth = np.where(drawn[1] < s.inside_share, np.floor(0.5 * drawn[2] * width / CENT).astype(np.int64) * CENT, 0)
        step = np.where(touch < 3 * PRICE_SCALE, self._tick.below, self._tick.above)
        depth = np.where(drawn[1] > 1.0 - s.sweep_share, -step, depth)
        price = np.where(buys, touch - depth, touch + depth)
        volume = np.minimum(rng.geometric(1.0 / s.order_size, n), 2_000)
        good = (touch > 0) & (price > 0)
        price = price[good]
        return TradeFrame(rows[good], price, price, price, volume[good])


def steps(
    settings: SyntheticSettings, chain: Chain, tick: TickClass, hours: Session, rng: np.random.Generator
) -> Iterator[Step]:
    """Yield the session step by step. The same generator state gives the same session."""
    surface, crowd, path = Surface(settings, chain), Crowd(settings, chain, tick, rng), SpotAndVol(settings, rng)
    seconds = settings.step_ms / 1_000
    before = _cents(path.spot)
    for ts in range(hours.open_ns + settings.step_ms * 1_000_000, hours.close_ns + 1, settings.step_ms * 1_000_000):
        path.advance(seconds, (ts - hours.open_ns) / (hours.close_ns - hours.open_ns))
        theos = surface.theos(path.spot, path.level, ts)
        trades = crowd.trade(theos, seconds)
        last = _cents(path.spot)
        volume = int(rng.poisson(settings.stock_volume * seconds / SESSION_SECONDS / _LOT)) * _LOT
        bar = StockBar(last, min(last, before), max(last, before), volume) if volume else None
        before = last
        spread = int(rng.integers(1, 4))
        below = int(path.spot * 100.0 - 0.5 * (spread - 1)) * CENT
        sizes = (1 + rng.poisson(3.0, 2)) * _LOT
        quote = StockQuote(below, int(sizes[0]), below + spread * CENT, int(sizes[1]))
        yield Step(ts, trades, bar, quote, crowd.requote(theos))


def open_interest(
    settings: SyntheticSettings, chain: Chain, tick: TickClass, rng: np.random.Generator
) -> OpenInterestFrame:
    """Return the open interest of the previous close, all contracts."""
    crowd = Crowd(settings, chain, tick, rng)
    return OpenInterestFrame(np.arange(len(chain)), crowd.open_interest)


def _cents(dollars: float) -> int:
    return round(dollars * 100.0) * CENT
