"""The volatility surface of one underlying: a raw SVI slice per expiry, free of arbitrage as a whole.

No returned surface has negative density at an expiry or total variance that falls from one expiry to the next at equal
log-moneyness, whatever the quotes were: slices that break either after the fit are repaired (see `pricing.arbitrage`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.errors import InputError
from domain.frames import SurfaceFrame
from pricing import arbitrage
from pricing.forward import Forwards
from pricing.smile import Observations
from pricing.svi import Array, RawSvi
from pricing.svi_fit import Fit, SliceFitter
from pricing.svi_scaled import PRIOR, to_free

Index = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

FEWEST: Final = 5
"""A slice is fitted on its own from this many observations with two sides; below, it borrows its neighbours' shape."""

_COLD_STEPS: Final = 40
_JOINT_STEPS: Final = 8


class SliceStatus(IntEnum):
    """Where a slice comes from; the column `status` of a surface frame."""

    FITTED = 0
    SPARSE = 1
    """Few or only one-sided observations: the shape is that of the neighbours or of the last fit."""
    REPAIRED = 2
    """Fitted, then moved until it was free of arbitrage."""
    ABSENT = 3
    """Expired, or nothing is known of any expiry."""


@dataclass(frozen=True, slots=True)
class VolSurface:
    """Slices of all expiries, in order of the chain. Shape (m,) each.

    Attributes:
        years: Years to expiry; 0 where expired.
        forward: Dollars per share.
        svi: The slices; not a number where `status` is ABSENT.
        rmse: Residual of the fit, in volatility, weighted as the fit was.
        error: One standard error of a fitted volatility near the money.
        min_g: Smallest Durrleman g.
        quotes: Observations that were fitted.
        status: See `SliceStatus`.
    """

    years: Array
    forward: Array
    svi: RawSvi
    rmse: Array
    error: Array
    min_g: Array
    quotes: npt.NDArray[np.int32]
    status: npt.NDArray[np.int8]

    def w(self, k: Array, expiry: Index) -> Array:
        """Total variance at log-moneyness `k` of expiry indices, element by element."""
        return self.svi.take(expiry).w(k)

    def vol(self, strike: Array, expiry: Index) -> Array:
        """Volatility at strikes (dollars) of expiry indices, element by element; not a number without a slice."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.sqrt(self.w(np.log(strike / self.forward[expiry]), expiry) / self.years[expiry]))

    def w_at(self, k: Array, years: float) -> Array:
        """Total variance at any time to expiry: linear in time at equal k, which keeps it free of arbitrage.

        Before the first expiry it falls to 0 with time; after the last it goes on with that one's variance per year.

        Args:
            k: Log-moneyness, shape (n,).
            years: Years to expiry, positive.

        Raises:
            InputError: `years` is not positive, or no expiry has a slice.
        """
        if not years > 0.0:
            raise InputError("must be positive", field="years", value=years)
        known = np.flatnonzero((self.status != SliceStatus.ABSENT) & (self.years > 0.0))
        if not len(known):
            raise InputError("no expiry has a slice", field="surface", value=len(self.years))
        known = known[np.argsort(self.years[known], kind="stable")]
        times = self.years[known]
        after = int(np.searchsorted(times, years))
        if after == 0 or after == len(known):
            edge = known[min(after, len(known) - 1)]
            return self.w(k, np.full(len(k), edge)) * (years / float(self.years[edge]))
        share = (years - times[after - 1]) / (times[after] - times[after - 1])
        before = self.w(k, np.full(len(k), known[after - 1]))
        return np.asarray((1.0 - share) * before + share * self.w(k, np.full(len(k), known[after])))

    def frame(self) -> SurfaceFrame:
        """The columns that travel."""
        return SurfaceFrame(
            expiry=np.arange(len(self.years)),
            years=self.years,
            forward=self.forward,
            a=self.svi.a,
            b=self.svi.b,
            rho=self.svi.rho,
            m=self.svi.m,
            sigma=self.svi.sigma,
            rmse=self.rmse,
            error=self.error,
            min_g=self.min_g,
            quotes=self.quotes,
            status=self.status,
        )

    @classmethod
    def from_frame(cls, frame: SurfaceFrame) -> VolSurface:
        """The surface of a frame that holds every expiry of the chain, in order."""
        svi = RawSvi(frame.a, frame.b, frame.rho, frame.m, frame.sigma)
        return cls(frame.years, frame.forward, svi, frame.rmse, frame.error, frame.min_g, frame.quotes, frame.status)


def fit_surface(rows: Observations, forwards: Forwards, last: VolSurface | None = None) -> VolSurface:
    """Fit all slices, then make them free of arbitrage.

    Args:
        rows: What the quotes say, by expiry.
        forwards: Of each expiry.
        last: The surface of the last fit: the start of this one, and the shape of what quotes leave open.

    Returns:
        A surface free of butterflies and of calendar arbitrage. Expiries without observations borrow from their
        neighbours; all are ABSENT where there are no observations at all.
    """
    expiries = len(forwards.years)
    live = forwards.years > 0.0
    counts = np.bincount(rows.expiry, minlength=expiries)
    certain = np.bincount(rows.expiry[rows.kind == 0], minlength=expiries)
    scale = _scales(rows, counts, forwards.years, last)
    known = live & (scale > 0.0)
    # Slices are compared in order of time, whatever the order of the chain (roots interleave).
    order = np.flatnonzero(known)[np.argsort(forwards.years[known], kind="stable")]
    if not len(order):
        return _absent(forwards)
    position = np.full(expiries, -1)
    position[order] = np.arange(len(order))
    mine = _reorder(rows, position)
    # What a slice has too little to say about itself it takes from its neighbours: all of its shape, when it is silent.
    borrows = (counts if last is not None else certain)[order] < (1 if last is not None else FEWEST)
    fit = _fit_known(mine, scale[order], _start(order, scale, last), borrows, is_cold=last is None)

    slices = fit.svi
    repaired = arbitrage.repair_calendar(arbitrage.repair_butterflies(slices))
    moved = np.any([now != was for now, was in zip(repaired, slices, strict=True)], axis=0)
    years = forwards.years[order]
    at_money = np.sqrt(repaired.w(np.zeros(len(order))) * years)
    rmse = _rmse(mine, repaired, years)
    shift = np.abs(repaired.w(np.zeros(len(order))) - slices.w(np.zeros(len(order))))
    status = np.where(
        certain[order] < FEWEST, SliceStatus.SPARSE, np.where(moved, SliceStatus.REPAIRED, SliceStatus.FITTED)
    )

    def spread(values: npt.NDArray[np.generic], otherwise: float) -> Array:
        full = np.full(expiries, otherwise)
        full[order] = values
        return full

    return VolSurface(
        years=np.where(live, forwards.years, 0.0),
        forward=forwards.forward,
        svi=RawSvi(*(spread(column, np.nan) for column in repaired)),
        rmse=spread(rmse, np.nan),
        error=spread(np.hypot(fit.error, shift) / (2.0 * at_money), np.nan),
        min_g=spread(arbitrage.min_g(repaired), np.nan),
        quotes=counts.astype(np.int32),
        status=spread(status, SliceStatus.ABSENT).astype(np.int8),
    )


def _fit_known(rows: Observations, scale: Array, start: Array, borrows: Mask, *, is_cold: bool) -> Fit:
    """Fit slices in order of time: from nothing each on its own first, then together."""
    if is_cold:
        start = SliceFitter(rows, scale, start).run(start, _COLD_STEPS)
    centre = np.tile(PRIOR, (len(start), 1)) if is_cold else start.copy()
    lenders = np.flatnonzero(~borrows)
    if len(lenders):
        for j in np.flatnonzero(borrows):
            centre[j] = start[lenders[np.abs(lenders - j).argmin()]]
    start = np.where(borrows[:, np.newaxis], centre, start)
    fitter = SliceFitter(rows, scale, centre)
    return fitter.fit(fitter.run_together(start, _JOINT_STEPS if not is_cold else _COLD_STEPS))


def _scales(rows: Observations, counts: npt.NDArray[np.intp], years: Array, last: VolSurface | None) -> Array:
    """About the total variance at the money of each expiry, shape (m,); 0 where nothing is known.

    That of the last fit; in the first one a mean of what is near the money. Without observations interpolated, linear
    in time.
    """
    expiries = len(years)
    near = np.exp(-0.5 * (rows.k / np.sqrt(np.maximum(rows.w, 1e-16))) ** 2)
    weight = np.where(rows.kind == 0, near * near / (rows.error / rows.w) ** 2, 0.0)
    total = np.bincount(rows.expiry, weight, expiries)
    level = np.bincount(rows.expiry, weight * np.log(rows.w), expiries)
    has = (total > 0.0) & (years > 0.0)
    scale = np.where(has, np.exp(level / np.where(has, total, 1.0)), 0.0)
    if last is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            kept = last.svi.w(np.zeros(expiries)) * years / last.years
        scale = np.where((years > 0.0) & (counts > 0) & np.isfinite(kept) & (kept > 0.0), kept, scale)
    gaps = (scale <= 0.0) & (years > 0.0)
    if gaps.any() and (scale > 0.0).any():
        order = np.flatnonzero(scale > 0.0)
        order = order[np.argsort(years[order], kind="stable")]
        per_year = np.interp(years[gaps], years[order], scale[order] / years[order])
        scale[gaps] = per_year * years[gaps]
    return scale


def _start(order: Index, scale: Array, last: VolSurface | None) -> Array:
    """Free numbers to start from and to keep to: the last fit's, the neighbours' where there is none, or the prior."""
    if last is None:
        return np.tile(PRIOR, (len(order), 1))
    before = last.svi.take(order)
    usable = np.isfinite(before.a)
    start = np.tile(PRIOR, (len(order), 1))
    if usable.any():
        start[usable] = to_free(before.take(usable), scale[order][usable])
        for j in np.flatnonzero(~usable):
            start[j] = start[usable][np.argmin(np.abs(np.flatnonzero(usable) - j))]
    return start


def _reorder(rows: Observations, position: Index) -> Observations:
    """The rows of known expiries, by their position in time."""
    new = position[rows.expiry]
    index = np.argsort(new, kind="stable")
    index = index[new[index] >= 0]
    return Observations(
        rows.contract[index], new[index], rows.k[index], rows.w[index], rows.error[index], rows.kind[index]
    )


def _rmse(rows: Observations, svi: RawSvi, years: Array) -> Array:
    certain = rows.kind == 0
    expiry = rows.expiry[certain]
    off = np.sqrt(svi.take(expiry).w(rows.k[certain]) / years[expiry]) - np.sqrt(rows.w[certain] / years[expiry])
    weight = rows.w[certain] * years[expiry] / rows.error[certain] ** 2
    total = np.bincount(expiry, weight, len(years))
    summed = np.bincount(expiry, weight * off * off, len(years))
    return np.asarray(np.sqrt(summed / np.where(total > 0.0, total, 1.0)))


def _absent(forwards: Forwards) -> VolSurface:
    m = len(forwards.years)
    nothing = np.full(m, np.nan)
    return VolSurface(
        np.maximum(forwards.years, 0.0),
        forwards.forward,
        RawSvi(nothing, nothing, nothing, nothing, nothing),
        nothing,
        nothing,
        nothing,
        np.zeros(m, np.int32),
        np.full(m, SliceStatus.ABSENT, np.int8),
    )
