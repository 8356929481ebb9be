"""Fit raw SVI slices to observations: all expiries at once, a few Levenberg-Marquardt steps each.

Residuals are in standard errors with Huber's weights; a bound counts only where it is broken; negative density costs.
`SliceFitter.run` lets every slice find its own way. `SliceFitter.run_together` takes joint steps in which crossing the
next expiry costs as well, so that two slices that cross give way by what their own quotes allow.

Sources: Levenberg (1944), Marquardt (1963) for the steps; Huber (1964) for the weights; Gatheral, Jacquier (2014),
section 5.2, for the penalty on crossed slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pricing.smile import Mask, Observations
from pricing.svi import Array, RawSvi
from pricing.svi_scaled import (
    HIGHEST,
    LOWEST,
    PARAMETERS,
    Parts,
    column,
    curve,
    density,
    from_free,
    parts_of,
    wings,
)

_HUBER: Final = 2.0
"""In standard errors: the edges of a quote."""

_CENTRE_ERROR: Final = np.array([1.5, 1.0, 0.7, 1.0, 0.8])
"""How far the free numbers may go from the centre for one standard error."""

_LONGEST_STEP: Final = 1.0
_SETTLED: Final = 5e-3
_STUCK: Final = 1e3

_HALF: Final = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0, 22.0, 40.0, 80.0])
_GRID: Final = np.concatenate((-_HALF[::-1], [0.0], _HALF))
"""Where density and crossings are watched, in x."""

_G_MARGIN: Final = 0.02
_G_ERROR: Final = 0.01
"""A slice whose g falls below the margin pays; one standard error for each of these."""

_CLEARANCE: Final = 5e-3
"""Share of a slice's variance that the next one keeps clear of it, so that the last repair finds nothing to do."""

_CROSSING_ERROR: Final = 1e-3
"""Share of the variance at the money that a crossing may have for one standard error; more with distance."""

_UPPER: Final = np.triu_indices(PARAMETERS)
_DIAGONAL: Final = np.arange(PARAMETERS)


@dataclass(frozen=True, slots=True)
class Fit:
    """Fitted slices, shape (m,) each.

    Attributes:
        svi: The slices.
        free: Their free numbers, shape (m, 5).
        error: One standard error of the total variance at the money, scaled with the misfit.
        misfit: Root mean square of the weighted residuals, in standard errors.
    """

    svi: RawSvi
    free: Array
    error: Array
    misfit: Array


@dataclass(frozen=True, slots=True)
class _System:
    """Cost, normal matrix and gradient of each slice: shapes (m,), (m, 5, 5), (m, 5)."""

    cost: Array
    normal: Array
    gradient: Array

    def better_of(self, other: _System, takes_other: Mask) -> _System:
        """The other's slices where `takes_other` holds."""
        return _System(
            np.where(takes_other, other.cost, self.cost),
            np.where(takes_other[:, None, None], other.normal, self.normal),
            np.where(takes_other[:, None], other.gradient, self.gradient),
        )


class SliceFitter:
    """The slices of all expiries, in order of time, against one set of observations."""

    def __init__(self, rows: Observations, scale: Array, centre: Array) -> None:
        """Scale the observations.

        Args:
            rows: The observations, by expiry.
            scale: About the total variance at the money, positive. Shape (m,).
            centre: Free numbers that a slice keeps to where its observations do not say otherwise. Shape (m, 5).
        """
        root = np.sqrt(scale)
        self._expiry = rows.expiry
        self._scale = scale
        self._centre = centre
        self._x = rows.k / root[rows.expiry]
        self._y = rows.w / scale[rows.expiry]
        self._precision = scale[rows.expiry] / rows.error
        self._kind = rows.kind
        self._count = np.bincount(rows.expiry, minlength=len(scale))
        self._present = np.flatnonzero(self._count)
        self._starts = (np.cumsum(self._count) - self._count)[self._present]

    def run(self, start: Array, steps: int) -> Array:
        """Take up to `steps` steps from free numbers of shape (m, 5); a slice takes one only where its cost falls."""
        free = np.asarray(start)
        damping: Array = np.full(len(start), 1e-2)
        system = self._system(free)
        for _ in range(steps):
            damped = system.normal.copy()
            damped[:, _DIAGONAL, _DIAGONAL] *= 1.0 + damping[:, None]
            trial = _step(free, _solve(damped, system.gradient))
            tried = self._system(trial)
            better = tried.cost < system.cost
            gain = system.cost - tried.cost
            settled = np.where(better, gain <= _SETTLED * system.cost, damping > _STUCK).all()
            damping = np.where(better, damping * 0.2, damping * 8.0)
            free = np.where(better[:, None], trial, free)
            system = system.better_of(tried, better)
            if settled:
                break
        return free

    def run_together(self, start: Array, steps: int) -> Array:
        """Take up to `steps` joint steps, in which crossing the next slice costs, from free numbers of shape (m, 5)."""
        free, damping = start, 1e-3
        own, crossed = self._system(free), self._crossings(free)
        total = float(own.cost.sum()) + crossed.cost
        for _ in range(steps):
            trial = _step(free, self._joint_step(own, crossed, damping))
            tried, tried_crossed = self._system(trial), self._crossings(trial)
            tried_total = float(tried.cost.sum()) + tried_crossed.cost
            if tried_total < total:
                gain = total - tried_total
                free, own, crossed, total = trial, tried, tried_crossed, tried_total
                damping *= 0.1
                if gain <= _SETTLED * total:
                    break
            elif damping > _STUCK:
                break
            else:
                damping *= 10.0
        return free

    def fit(self, free: Array) -> Fit:
        """The slices of free numbers with their errors, from the observations and the centre alone."""
        system = self._system(free)
        at_money = curve(parts_of(free), np.zeros(len(free)))[1].T
        variance = (at_money * _solve(system.normal, at_money)).sum(axis=1)
        misfit = np.sqrt(system.cost / np.maximum(self._count, 1))
        error = np.sqrt(variance) * np.maximum(misfit, 1.0) * self._scale
        return Fit(from_free(free, self._scale), free, error, misfit)

    def _system(self, free: Array) -> _System:
        off = (free - self._centre) / _CENTRE_ERROR
        cost = (off * off).sum(axis=1)
        gradient = off / _CENTRE_ERROR
        normal = np.zeros((len(free), PARAMETERS, PARAMETERS))
        normal[:, _DIAGONAL, _DIAGONAL] = 1.0 / _CENTRE_ERROR**2
        parts = parts_of(free)
        if len(self._present):
            self._add_quotes(parts, cost, normal, gradient)
        g, slopes = density(column(parts), self._scale[:, None], _GRID)
        short = np.minimum(g - _G_MARGIN, 0.0) / _G_ERROR
        paying = np.flatnonzero(short.any(axis=1))
        if len(paying):
            short = short[paying]
            slopes = slopes[:, paying] * ((short < 0.0) / _G_ERROR)
            cost[paying] += (short * short).sum(axis=1)
            normal[paying] += np.einsum("pmg,qmg->mpq", slopes, slopes)
            gradient[paying] += (slopes * short).sum(axis=2).T
        return _System(cost, normal, gradient)

    def _add_quotes(self, parts: Parts, cost: Array, normal: Array, gradient: Array) -> None:
        low, b, rho, m, sigma = parts
        at = self._expiry
        y, slopes = curve((low[at], b[at], rho[at], m[at], sigma[at]), self._x)
        z = (y - self._y) * self._precision
        size = np.maximum(np.abs(z), 1e-300)
        inside = np.minimum(size, _HUBER)
        # A bound that holds says nothing. Huber's loss is quadratic inside and linear outside.
        speaks = z * self._kind <= 0.0
        weight = np.where(speaks, inside / size, 0.0)
        loss = np.where(speaks, inside * (2.0 * size - inside), 0.0)
        slopes *= self._precision
        weighted = slopes * weight
        sums = np.empty((6 + 3 * PARAMETERS, len(z)))
        sums[0] = loss
        sums[1 : 1 + PARAMETERS] = weighted * z
        np.multiply(weighted[_UPPER[0]], slopes[_UPPER[1]], out=sums[1 + PARAMETERS :])
        totals = np.add.reduceat(sums, self._starts, axis=1).T
        cost[self._present] += totals[:, 0]
        gradient[self._present] += totals[:, 1 : 1 + PARAMETERS]
        full = np.zeros((len(self._present), PARAMETERS, PARAMETERS))
        full[:, _UPPER[0], _UPPER[1]] = totals[:, 1 + PARAMETERS :]
        full[:, _UPPER[1], _UPPER[0]] = totals[:, 1 + PARAMETERS :]
        normal[self._present] += full

    def _crossings(self, free: Array) -> _Crossings:
        """What it costs that slices come closer to the next one than the clearance, in the later slice's y."""
        parts, root = parts_of(free), np.sqrt(self._scale)
        ratio = (root[:-1] / root[1:])[:, None]
        early, late = column(_cut(parts, slice(None, -1))), column(_cut(parts, slice(1, None)))
        # Watched at both slices' own points: the first day's smile is narrow beside the second's.
        x = np.concatenate((np.broadcast_to(_GRID, (len(ratio), len(_GRID))), ratio * _GRID[4:-4]), axis=1)
        below, below_slopes = curve(early, x / ratio)
        above, above_slopes = curve(late, x)
        below_wing, below_wing_slopes = wings(_cut(parts, slice(None, -1)))
        above_wing, above_wing_slopes = wings(_cut(parts, slice(1, None)))
        share = ratio * ratio * (1.0 + _CLEARANCE)
        wing_share = ratio * (1.0 + _CLEARANCE)
        gap = np.concatenate((above - share * below, above_wing - wing_share * below_wing), axis=1)
        error = np.concatenate((_CROSSING_ERROR * (1.0 + np.abs(x)), np.full((len(ratio), 2), _CROSSING_ERROR)), axis=1)
        z = np.minimum(gap, 0.0) / error
        cost = float((z * z).sum())
        if cost == 0.0:
            return _Crossings(0.0, None)
        active = (z < 0.0) / error
        late_slopes = np.concatenate((above_slopes, above_wing_slopes), axis=2) * active
        early_slopes = np.concatenate((-share * below_slopes, -wing_share * below_wing_slopes), axis=2) * active
        return _Crossings(cost, (z, early_slopes, late_slopes))

    def _joint_step(self, own: _System, crossed: _Crossings, damping: float) -> Array:
        """The damped Gauss-Newton step of all slices, shape (m, 5): block tridiagonal, small enough to be dense."""
        m = len(own.cost)
        normal = np.zeros((m, PARAMETERS, m, PARAMETERS))
        at = np.arange(m)
        normal[at, :, at, :] = own.normal
        gradient = own.gradient.copy()
        if crossed.rows is not None and m > 1:
            z, early, late = crossed.rows
            normal[at[:-1], :, at[:-1], :] += np.einsum("pmg,qmg->mpq", early, early)
            normal[at[1:], :, at[1:], :] += np.einsum("pmg,qmg->mpq", late, late)
            across = np.einsum("pmg,qmg->mpq", early, late)
            normal[at[:-1], :, at[1:], :] += across
            normal[at[1:], :, at[:-1], :] += across.transpose(0, 2, 1)
            gradient[:-1] += (early * z).sum(axis=2).T
            gradient[1:] += (late * z).sum(axis=2).T
        flat = normal.reshape(m * PARAMETERS, m * PARAMETERS)
        at = np.arange(m * PARAMETERS)
        flat[at, at] *= 1.0 + damping
        return _solve(flat[None], gradient.reshape(1, -1)).reshape(m, PARAMETERS)


@dataclass(frozen=True, slots=True)
class _Crossings:
    """Cost of all crossings; residuals (m - 1, g) and their derivatives in the earlier and the later slice."""

    cost: float
    rows: tuple[Array, Array, Array] | None


def _solve(matrices: Array, vectors: Array) -> Array:
    """Solutions of systems of shape (m, p, p) and (m, p)."""
    return np.linalg.solve(matrices, vectors[:, :, None])[:, :, 0].astype(np.float64, copy=False)


def _cut(parts: Parts, rows: slice) -> Parts:
    low, b, rho, m, sigma = parts
    return low[rows], b[rows], rho[rows], m[rows], sigma[rows]


def _step(free: Array, step: Array) -> Array:
    """Free numbers after a step, no component of a slice moved by more than the longest step, within bounds."""
    longest = np.abs(step).max(axis=1, keepdims=True)
    moved: Array = np.clip(free - step / np.maximum(longest / _LONGEST_STEP, 1.0), LOWEST, HIGHEST)
    return moved
