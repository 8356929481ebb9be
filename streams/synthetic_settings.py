"""Settings of the synthetic market."""

from __future__ import annotations

import datetime as dt
from typing import Final, Literal

import msgspec

from domain.calendar import is_session
from domain.errors import InputError

_FULL_SESSION_MINUTES: Final = 390


class SyntheticSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A made-up market. Volatilities are per square root of a year; shares and probabilities lie in [0, 1].

    Attributes:
        symbol: Symbol of the underlying. Not that of anything listed.
        trade_date: A session of the calendar.
        session_minutes: Length of the session, from the usual open.
        step_ms: Time between two publications.
        contracts: Number of contracts, even: expiries x strikes x 2.
        tick: Tick class of the options.
        spot: Dollars per share at the open.
        vol: Long-run at-the-money volatility, and that of the open.
        vol_of_vol: Volatility of the log of the at-the-money volatility.
        vol_reversion: Speed of its return, per year.
        leverage: Correlation of spot and volatility.
        skew_rho: SSVI rho.
        skew_eta: SSVI eta; eta (1 + |rho|) <= 2 keeps the surface free of butterflies.
        jumps_per_day: Expected jumps of the spot in a full session.
        jump_size: Standard deviation of one, in log price.
        half_spread: Dollars, half width of the market around a worthless option.
        half_spread_root: Dollars more for each square root of a dollar of theo.
        noise: How far those who quote disagree with the true theo, in half spreads, one standard deviation.
        opinion_changes: Share of the contracts whose quoters think again at each step.
        missed_updates: Probability that a quote misses a change at a step.
        absent_share: Share of the time for which a side is missing at the money; more far from it.
        orders_per_minute: Expected option orders over the whole chain.
        order_size: Mean contracts of an order.
        inside_share: Share of the orders that print inside the quote.
        sweep_share: Share of the orders that print a tick through it.
        informed: How strongly orders follow the new theo; 0 is pure noise.
        stock_volume: Expected shares in a full session.
    """

    symbol: str = "SYN"
    trade_date: str = "2026-03-02"
    session_minutes: int = 15
    step_ms: int = 2_000
    contracts: int = 2_000
    tick: Literal["penny", "penny_all", "nickel_dime"] = "penny"
    spot: float = 250.0
    vol: float = 0.28
    vol_of_vol: float = 1.0
    vol_reversion: float = 6.0
    leverage: float = -0.7
    skew_rho: float = -0.5
    skew_eta: float = 1.0
    jumps_per_day: float = 4.0
    jump_size: float = 0.003
    half_spread: float = 0.02
    half_spread_root: float = 0.03
    noise: float = 0.3
    opinion_changes: float = 0.02
    missed_updates: float = 0.1
    absent_share: float = 0.002
    orders_per_minute: float = 120.0
    order_size: float = 6.0
    inside_share: float = 0.3
    sweep_share: float = 0.1
    informed: float = 0.5
    stock_volume: float = 5_000_000.0

    @property
    def date(self) -> dt.date:
        """The trade date."""
        return dt.date.fromisoformat(self.trade_date)

    def __post_init__(self) -> None:
        """Refuse what makes no market."""
        try:
            if not is_session(self.date):
                raise InputError("must be a session", field="synthetic.trade_date", value=self.trade_date)
        except ValueError as e:
            raise InputError("must be a date", field="synthetic.trade_date", value=self.trade_date) from e
        if not (self.symbol.isascii() and self.symbol.isalpha() and self.symbol.isupper() and len(self.symbol) <= 5):
            raise InputError("must be 1 to 5 capital letters", field="synthetic.symbol", value=self.symbol)
        if self.contracts % 2:
            raise InputError("must be even", field="synthetic.contracts", value=self.contracts)
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"must be between {low} and {high}", field=f"synthetic.{name}", value=value)
        if self.skew_eta * (1.0 + abs(self.skew_rho)) > 2.0:
            raise InputError(
                "eta (1 + |rho|) must be at most 2: above, the surface has butterflies",
                field="synthetic.skew_eta",
                value=self.skew_eta,
            )
        if self.session_minutes * 60_000 < self.step_ms:
            raise InputError("must not be longer than the session", field="synthetic.step_ms", value=self.step_ms)


_RANGES: Final[tuple[tuple[str, float, float], ...]] = (
    ("session_minutes", 1, _FULL_SESSION_MINUTES),
    ("step_ms", 10, 60_000),
    ("contracts", 200, 20_000),
    ("spot", 5.0, 20_000.0),
    ("vol", 0.02, 3.0),
    ("vol_of_vol", 0.0, 5.0),
    ("vol_reversion", 0.1, 100.0),
    ("leverage", -1.0, 1.0),
    ("skew_rho", -0.99, 0.99),
    ("skew_eta", 0.0, 2.0),
    ("jumps_per_day", 0.0, 1_000.0),
    ("jump_size", 0.0, 0.2),
    ("half_spread", 0.001, 10.0),
    ("half_spread_root", 0.0, 10.0),
    ("noise", 0.0, 1.0),
    ("opinion_changes", 0.0, 1.0),
    ("missed_updates", 0.0, 0.99),
    ("absent_share", 0.0, 0.2),
    ("orders_per_minute", 0.0, 1_000_000.0),
    ("order_size", 1.0, 1_000.0),
    ("inside_share", 0.0, 1.0),
    ("sweep_share", 0.0, 1.0),
    ("informed", 0.0, 10.0),
    ("stock_volume", 0.0, 1e12),
)
