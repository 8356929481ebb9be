"""The stage that turns quotes into forwards and a surface: NBBO in, `ForwardImplied` and `SurfaceFitted` out.

It keeps the last quote of every contract and fits at most once per interval of event time. What arrives in between is
conflated, never lost: the fit that follows sees the newest quote of each contract, and a timer brings that fit when no
further quote does.

American quotes enter the parity and the smile less their early-exercise premium, solved at the vols of the last
surface. The first fit has none and takes several passes; later ones are close enough to need one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np

from domain.calendar import YEAR_NS
from domain.chain import Chain
from domain.errors import DataError, InputError, UnknownContract
from domain.events import (
    Event,
    ForwardImplied,
    NbboUpdated,
    SessionChanged,
    SessionState,
    SurfaceFitted,
    TimerFired,
    UnderlyingUpdated,
)
from domain.frames import ForwardFrame, NbboFrame, SurfaceFrame
from domain.price import PRICE_SCALE
from domain.state import pack, unpack
from pricing import american
from pricing.forward import Array, Forwards, ForwardSettings, ParityPairs, imply_forwards
from pricing.smile import Terms, observe
from pricing.surface import VolSurface, fit_surface

MILLISECOND_NS: Final = 1_000_000
_KIND: Final = "fitter"
_VERSION: Final = 1
_CLOSED: Final = frozenset({"halted", "closed"})


class FitterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often and how surfaces are fitted.

    Attributes:
        interval_ms: Least event time between two fits. 0 fits on every NBBO.
        first_passes: Passes of the first fit, which starts without early-exercise premiums. Rate and premiums settle
            each other in about ten; each later fit is one more.
        spot_width_share: One standard error of the underlying's midpoint, as a share of its width.
        forward: How forwards are implied.
    """

    interval_ms: int = 1_000
    first_passes: int = 6
    spot_width_share: float = 0.25
    forward: ForwardSettings = msgspec.field(default_factory=ForwardSettings)

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            InputError: A field is out of range.
        """
        if self.interval_ms < 0:
            raise InputError("must not be negative", field="fitter.interval_ms", value=self.interval_ms)
        if self.first_passes < 1:
            raise InputError("must be positive", field="fitter.first_passes", value=self.first_passes)
        if not self.spot_width_share > 0.0:
            raise InputError("must be positive", field="fitter.spot_width_share", value=self.spot_width_share)


class Fitter:
    """Stage: fits the surface of one chain."""

    name = "fitter"
    reads: frozenset[type[Event]] = frozenset({NbboUpdated, UnderlyingUpdated, SessionChanged, TimerFired})

    def __init__(self, chain: Chain, settings: FitterSettings | None = None) -> None:
        """Start without quotes."""
        n = len(chain)
        self._chain = chain
        self._settings = settings or FitterSettings()
        self._pairs = ParityPairs.of(chain)
        self._expiry = chain.expiry_index.astype(np.intp)
        self._terms = Terms(chain.strike, chain.sign, self._expiry, ~chain.is_adjusted)
        self._has_american = bool(chain.is_american.any())
        self._bid = np.zeros(n, np.int64)
        self._ask = np.zeros(n, np.int64)
        self._bid_size = np.zeros(n, np.int32)
        self._ask_size = np.zeros(n, np.int32)
        self._ts = np.zeros(n, np.int64)
        self._spot = 0.0
        self._spot_width = 0.0
        self._session: SessionState = "open"
        self._is_dirty = False
        self._fitted_ts: int | None = None
        self._surface: VolSurface | None = None
        self._carry: ForwardFrame | None = None

    def apply(self, event: Event) -> Sequence[Event]:
        """Take an event in; fit when one is due.

        Raises:
            UnknownContract: A quote of a contract that the chain does not list.
            DataError: A quote with a negative price.
        """
        match event:
            case NbboUpdated():
                self._quote(event.frame, event.ts_event)
            case UnderlyingUpdated():
                # Without both sides, or crossed, there is no midpoint: the last one stays.
                if 0 < event.bid <= event.ask:
                    self._spot = (event.bid + event.ask) / (2 * PRICE_SCALE)
                    self._spot_width = (event.ask - event.bid) / PRICE_SCALE
                return ()
            case SessionChanged():
                self._session = event.state
                return ()
            case TimerFired():
                pass
            case _:
                raise InputError("event is not read by this stage", field="event", value=type(event).__name__)
        return self._fit(event) if self._is_due(event.ts_event) else ()

    def _quote(self, frame: NbboFrame, ts: int) -> None:
        if not len(frame):
            return
        contract = frame.contract
        if contract.min() < 0 or contract.max() >= len(self._chain):
            strange = contract[(contract < 0) | (contract >= len(self._chain))]
            raise UnknownContract(contract=int(strange[0]), contracts=len(self._chain))
        if min(frame.bid.min(), frame.ask.min()) < 0:
            raise DataError("negative price", underlying=self._chain.underlying)
        self._bid[contract], self._bid_size[contract] = frame.bid, frame.bid_size
        self._ask[contract], self._ask_size[contract] = frame.ask, frame.ask_size
        self._ts[contract] = ts
        self._is_dirty = True

    def _is_due(self, ts: int) -> bool:
        if not self._is_dirty or self._session in _CLOSED or self._spot <= 0.0:
            return False
        return self._fitted_ts is None or ts - self._fitted_ts >= self._settings.interval_ms * MILLISECOND_NS

    def _fit(self, event: Event) -> Sequence[Event]:
        """Fit forwards and surface to the quotes held."""
        bid = np.where(self._bid_size > 0, self._bid / PRICE_SCALE, np.nan)
        ask = np.where(self._ask_size > 0, self._ask / PRICE_SCALE, np.nan)
        # A bid of 0 is no bid, whatever size stands beside it.
        bid[self._bid <= 0] = np.nan
        ask[self._ask <= 0] = np.nan
        years = (self._chain.expiry_ns - event.ts_event) / YEAR_NS
        surface, carry = self._surface, self._carry
        premium = self._premium(years, surface, carry)
        passes = 1 if surface is not None else self._settings.first_passes
        for turn in range(passes):
            if turn:
                premium = self._premium(years, surface, carry)
            spot_error = max(self._settings.spot_width_share * self._spot_width, 0.5 / PRICE_SCALE)
            forwards = imply_forwards(
                self._pairs, bid, ask, premium, years, self._spot, spot_error, self._settings.forward
            )
            surface = fit_surface(observe(self._terms, bid, ask, premium, forwards), forwards, surface)
            carry = _forward_frame(forwards)
        if surface is None or carry is None or not surface.quotes.any():
            return ()
        self._surface, self._carry, self._fitted_ts, self._is_dirty = surface, carry, event.ts_event, False
        head: dict[str, Any] = {
            "ts_event": event.ts_event,
            "ts_init": event.ts_init,
            "underlying": event.underlying,
            "spot": self._spot,
        }
        return (ForwardImplied(**head, frame=carry), SurfaceFitted(**head, frame=surface.frame()))

    def _premium(self, years: Array, surface: VolSurface | None, carry: ForwardFrame | None) -> Array:
        """Early-exercise premium of every contract at the last surface's vols, dollars; 0 where none is known."""
        nothing = np.zeros(len(self._chain))
        if surface is None or carry is None or not self._has_american:
            return nothing
        expiry = self._expiry
        vol = surface.vol(self._chain.strike, expiry)
        premium, _, _, _ = american.early_exercise_premium(
            self._spot,
            self._chain.strike,
            np.maximum(years, 0.0)[expiry],
            carry.rate[expiry],
            carry.carry_yield[expiry],
            vol,
            self._chain.sign,
        )
        return np.where(self._chain.is_american & np.isfinite(premium), premium, nothing)

    def snapshot(self) -> bytes:
        """The whole state."""
        return pack(
            _KIND,
            _VERSION,
            {
                "bid": self._bid,
                "ask": self._ask,
                "bid_size": self._bid_size,
                "ask_size": self._ask_size,
                "ts": self._ts,
                "spot": self._spot,
                "spot_width": self._spot_width,
                "session": self._session,
                "is_dirty": self._is_dirty,
                "fitted_ts": self._fitted_ts,
                "surface": None if self._surface is None else self._surface.frame().columns(),
                "carry": None if self._carry is None else self._carry.columns(),
            },
        )

    def restore(self, state: bytes) -> None:
        """Take over the state that `snapshot` gave.

        Raises:
            DataError: The bytes are of another stage, version or chain.
        """
        held = unpack(_KIND, _VERSION, state)
        if len(held["bid"]) != len(self._chain):
            raise DataError("snapshot is of another chain", contracts=len(held["bid"]), expected=len(self._chain))
        self._bid, self._ask = held["bid"], held["ask"]
        self._bid_size, self._ask_size, self._ts = held["bid_size"], held["ask_size"], held["ts"]
        self._spot, self._spot_width, self._session = held["spot"], held["spot_width"], held["session"]
        self._is_dirty, self._fitted_ts = held["is_dirty"], held["fitted_ts"]
        surface, carry = held["surface"], held["carry"]
        self._surface = None if surface is None else VolSurface.from_frame(SurfaceFrame.from_columns(surface))
        self._carry = None if carry is None else ForwardFrame.from_columns(carry)


def _forward_frame(forwards: Forwards) -> ForwardFrame:
    return ForwardFrame(
        expiry=np.arange(len(forwards.years)),
        years=forwards.years,
        forward=forwards.forward,
        forward_error=forwards.error,
        discount=forwards.discount,
        rate=forwards.rate,
        carry_yield=forwards.carry_yield,
        pairs=forwards.pairs,
    )
