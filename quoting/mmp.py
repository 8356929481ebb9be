"""Market-maker protection: too much traded against our quotes in too short a time means that we are wrong."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from quoting.settings import MmpSettings

_MS: int = 1_000_000


class Trip(NamedTuple):
    """Which limit tripped, at which value."""

    rule: str
    value: float
    limit: float


class _Fill(NamedTuple):
    ts: int
    contracts: int
    delta: float
    vega: float


class Protection:
    """Rolling fills of one underlying against four independent limits. Latches on the first trip until `reset`.

    The window of a fill at t is (t - window, t]: a fill exactly one window old no longer counts. Sums are taken over
    the fills in the window each time, so that they do not drift.

    Source: modelled on what exchanges offer, rolling and reset by the firm alone: Nasdaq Rapid Fire (ORA2014-34), Cboe
    risk management, and Deribit MMP for net delta and net vega.
    """

    def __init__(self, settings: MmpSettings) -> None:
        self.settings = settings
        self.trip: Trip | None = None
        self._window_ns = settings.window_ms * _MS
        self._fills: deque[_Fill] = deque()

    @property
    def is_tripped(self) -> bool:
        """Whether quotes must stay away."""
        return self.trip is not None

    def record(self, ts: int, contracts: int, delta: float, vega: float) -> Trip | None:
        """Count one execution of a quote.

        Args:
            ts: Event time, ns. Not before that of an earlier fill.
            contracts: Quantity, positive.
            delta: Delta taken on, shares, signed.
            vega: Vega taken on, dollars per 1.00 of volatility, signed. NaN counts as none: a contract without a theo
                still counts in fills and contracts.

        Returns:
            The trip, at the moment it happens only; None while latched.
        """
        fills = self._fills
        fills.append(_Fill(ts, contracts, delta if delta == delta else 0.0, vega if vega == vega else 0.0))  # noqa: PLR0124 - NaN
        horizon = ts - self._window_ns
        while fills[0].ts <= horizon:
            fills.popleft()
        if self.trip is not None:
            return None
        limits = self.settings
        traded = sum(fill.contracts for fill in fills)
        net_delta = abs(sum(fill.delta for fill in fills))
        net_vega = abs(sum(fill.vega for fill in fills))
        if len(fills) >= limits.max_fills:
            self.trip = Trip("fills", float(len(fills)), float(limits.max_fills))
        elif traded >= limits.max_contracts:
            self.trip = Trip("contracts", float(traded), float(limits.max_contracts))
        elif net_delta > limits.max_delta:
            self.trip = Trip("delta", net_delta, limits.max_delta)
        elif net_vega > limits.max_vega:
            self.trip = Trip("vega", net_vega, limits.max_vega)
        return self.trip

    def reset(self) -> bool:
        """Unlatch and forget the fills. Returns whether it was tripped."""
        was_tripped = self.trip is not None
        self.trip = None
        self._fills.clear()
        return was_tripped

    def state(self) -> dict[str, object]:
        """What a snapshot keeps."""
        return {"trip": self.trip, "fills": list(self._fills)}

    def restore(self, state: dict[str, object]) -> None:
        """Take over what `state` gave, after a trip through a snapshot."""
        trip, fills = state["trip"], state["fills"]
        self.trip = Trip(*trip) if isinstance(trip, list | tuple) else None
        self._fills = deque(_Fill(*fill) for fill in fills) if isinstance(fills, list) else deque()
