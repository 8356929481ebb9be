"""Settings of the hedger."""

from __future__ import annotations

import math

import msgspec

from domain.errors import InputError


class HedgerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to hedge net delta with the underlying, and in what sizes.

    Attributes:
        risk_aversion: Absolute risk aversion, per dollar: the larger, the narrower the band.
        fee: Fees of trading one share, dollars; added to the half-spread of the market as the cost of a hedge.
        rate: Continuous rate per year, for the discount in the band.
        horizon_years: Time over which the book is held, for the discount in the band.
        min_band: Narrowest half-width, shares.
        max_band: Widest half-width, shares: what net delta may be whatever the formula says.
        edge_fraction: Where a hedge ends, as a fraction of the half-width: 1 is the edge of the band (optimal under
            proportional costs), 0 its middle.
        max_clip: Largest order, shares; the rest follows in later ones.
        lot: Orders are whole multiples of it, shares.
        pause_ms: Pause after every hedge. At least the gate's `duplicate_window_ms`: it takes an equal order within it
            for a repetition. Fills of one print that venues report one after the other are then hedged as one.
        retry_ms: Pause after a hedge that was refused or did not trade in full; doubles with each refusal in a row, but
            not while flattening or before the close.
        max_retry_ms: Longest such pause.
        timeout_ms: Time after which a hedge without an outcome is reported for reconciliation. It is never resent; from
            then on only what it cannot have done is hedged.
        closing_s: So long before the scheduled close the band gives way to the closing hedge, seconds: net delta beyond
            `min_band` is hedged to zero, and contracts that settle at the close count with what exercise leaves of
            them. At least an interval of the feed, whose last price is known at the close only, and about as long as
            quotes are pulled before it. 0 leaves the band to the end.

    Raises:
        InputError: A value is out of range.
    """

    risk_aversion: float = 1e-4
    fee: float = 0.003
    rate: float = 0.0
    horizon_years: float = 0.0
    min_band: float = 10.0
    max_band: float = 1_000.0
    edge_fraction: float = 1.0
    max_clip: int = 500
    lot: int = 1
    pause_ms: int = 100
    retry_ms: int = 1_000
    max_retry_ms: int = 60_000
    timeout_ms: int = 15_000
    closing_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse settings under which a hedge is not defined."""
        for name in ("risk_aversion", "max_clip", "lot", "retry_ms", "timeout_ms"):
            self._need(name, is_good=getattr(self, name) > 0, rule="must be positive")
        for name in ("fee", "horizon_years", "min_band", "rate", "pause_ms", "closing_s"):
            value = getattr(self, name)
            self._need(name, is_good=math.isfinite(value) and value >= 0, rule="must not be negative")
        self._need("max_band", is_good=self.max_band >= self.min_band, rule="must not be below min_band")
        self._need("edge_fraction", is_good=0.0 <= self.edge_fraction <= 1.0, rule="must be in [0, 1]")
        self._need("max_clip", is_good=self.max_clip >= self.lot, rule="must not be below lot")
        self._need("max_retry_ms", is_good=self.max_retry_ms >= self.retry_ms, rule="must not be below retry_ms")

    def _need(self, name: str, *, is_good: bool, rule: str) -> None:
        if not is_good:
            raise InputError(rule, field=f"hedger.{name}", value=getattr(self, name))

    @property
    def discount(self) -> float:
        """exp(-r tau) to the horizon."""
        return math.exp(-self.rate * self.horizon_years)
