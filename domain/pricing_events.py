"""Facts from valuation: forwards, surfaces, Greeks.

Prices are integer units of 1/10,000 dollar, money in `cash` and `pnl` fields is float dollars, sizes are contracts or
shares.
"""

from __future__ import annotations

from domain.events_base import Event
from domain.frames import ForwardFrame, GreeksFrame, SurfaceFrame


class ForwardImplied(Event, frozen=True, kw_only=True):
    """Forwards and discounts from put-call parity."""

    spot: float
    frame: ForwardFrame


class SurfaceFitted(Event, frozen=True, kw_only=True):
    """A smoothed volatility slice for each expiry."""

    spot: float
    frame: SurfaceFrame


class GreeksComputed(Event, frozen=True, kw_only=True):
    """Theos and Greeks of the whole chain. `is_refresh`: American premiums were solved anew, not expanded."""

    spot: float
    is_refresh: bool
    frame: GreeksFrame
