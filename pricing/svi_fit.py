"""Fit raw SVI slices to observations: all expiries at once, a few Levenberg-Marquardt steps each.

A slice is fitted in coordinates that are of order one for every expiry: x = k / sqrt(s) and y = w / s, where s is about
the total variance at the money. Its five free numbers are the logarithms of the smallest y, of b and of sigma, the
inverse hyperbolic tangent of rho, and m; so every trial is a positive smile. Residuals are in standard errors with
Huber's weights; a bound counts only where it is broken; negative density and crossing a neighbouring expiry cost.

Sources: Levenberg (1944), Marquardt (1963) for the steps; Huber (1964) for the weights; Gatheral, Jacquier (2014),
section 5.2, for the penalty on crossed slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pricing.smile import Observations
from pricing.svi import Array, RawSvi

PARAMETERS: Final = 5
_HUBER: Final = 2.0
"""In standard errors: the edges of a quote."""

_PRIOR: Final = np.array([np.log(0.6), np.log(0.3), -0.3, 0.0, np.log(1.0)])
_PRIOR_ERROR: Final = np.array([1.5, 1.0, 0.7, 1.0, 0.8])
_LOWEST: Final = np.array([np.log(1e-3), np.log(1e-3), -3.5, -6.0, np.log(0.05)])
_HIGHEST: Final = np.array([np.log(5.0), np.log(20.0), 3.5, 6.0, np.log(20.0)])
_LONGEST_STEP: Final = 1.0
_G_MARGIN: Final = 0.02
_G_ERROR: Final = 0.01
"""A slice whose g falls below the margin pays; one standard error for each of these."""

_SETTLED: Final = 1e-4
_STUCK: Final = 1e3
_CLEARANCE: Final = 5e-3
"""Share of a neighbour's variance to keep clear of it, so that the last repair finds nothing to do."""

_HALF: Final = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0, 22.0, 40.0, 80.0])
_CALENDAR_X: Final = np.concatenate((-_HALF[::-1], [0.0], _HALF))
_CALENDAR_ERROR: Final = np.concatenate((0.001 * (1.0 + np.abs(_CALENDAR_X)), [0.001, 0.001]))
"""How much of the variance at the money a crossing may cost one standard error, by distance; last the two wings."""


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


def to_free(svi: RawSvi, scale: Array) -> Array:
    """Free numbers of raw slices, shape (m, 5)."""
    root = np.sqrt(scale)
    return np.clip(
        np.stack(
            (
                np.log(np.maximum(svi.minimum() / scale, 1e-12)),
                np.log(np.maximum(svi.b / root, 1e-12)),
                np.arctanh(np.clip(svi.rho, -0.999, 0.999)),
                svi.m / root,
                np.log(np.maximum(svi.sigma / root, 1e-12)),
            ),
            axis=1,
        ),
        _LOWEST,
        _HIGHEST,
    )


def from_free(free: Array, scale: Array) -> RawSvi:
    """Raw slices of free numbers of shape (m, 5)."""
    low, b, rho, m, sigma = _natural(free)
    root = np.sqrt(scale)
    return RawSvi((low - b * sigma * np.sqrt(1.0 - rho * rho)) * scale, b * root, rho, m * root, sigma * root)


def prior(count: int) -> Array:
    """The free numbers that stand for a typical equity smile, shape (count, 5)."""
    return np.tile(_PRIOR, (count, 1))


def _natural(free: Array) -> tuple[Array, Array, Array, Array, Array]:
    return np.exp(free[:, 0]), np.exp(free[:, 1]), np.tanh(free[:, 2]), free[:, 3], np.exp(free[:, 4])


def _curve(parts: tuple[Array, ...], x: Array) -> tuple[Array, Array]:
    """Values y at x and their derivatives in the free numbers, shape of x and (5, ...)."""
    low, b, rho, m, sigma = parts
    flat = np.sqrt(1.0 - rho * rho)
    z = x - m
    root = np.sqrt(z * z + sigma * sigma)
    shape = b * (rho * z + root - sigma * flat)
    slopes = np.empty((PARAMETERS, *z.shape))
    slopes[0] = low
    slopes[1] = shape
    slopes[2] = b * (z + sigma * rho / flat) * (flat * flat)
    slopes[3] = -b * (rho + z / root)
    slopes[4] = b * sigma * (sigma / root - flat)
    return low + shape, slopes


class SliceFitter:
    """The slices of all expiries against one set of observations."""

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
        self._grid = root[:, np.newaxis] * _CALENDAR_X
        self._count = np.bincount(rows.expiry, minlength=len(scale))
        self._present = np.flatnonzero(self._count)
        self._starts = (np.cumsum(self._count) - self._count)[self._present]

    def run(
        self, start: Array, steps: int, neighbours: RawSvi | None = None, movable: npt.NDArray[np.bool_] | None = None
    ) -> Fit:
        """Take up to `steps` steps; a slice takes one only where that lowers its own cost.

        Args:
            start: Free numbers, shape (m, 5).
            steps: The most steps to take; fewer when no slice gains.
            neighbours: Slices that must not be crossed: row j keeps above row j - 1 and below row j + 1 of these.
            movable: Which slices may move, shape (m,); all when absent. Two neighbours that both give way would swing.
        """
        fences = None if neighbours is None else self._fences(neighbours)
        free = np.asarray(start)
        may = np.ones(len(start), np.bool_) if movable is None else movable
        damping: Array = np.full(len(start), 1e-2)
        cost, normal, gradient = self._system(free, fences)
        diagonal = np.arange(PARAMETERS)
        for _ in range(steps):
            damped = normal.copy()
            damped[:, diagonal, diagonal] *= 1.0 + damping[:, np.newaxis]
            step = np.linalg.solve(damped, gradient[:, :, np.newaxis])[:, :, 0]
            step /= np.maximum(np.abs(step).max(axis=1, keepdims=True) / _LONGEST_STEP, 1.0)
            trial = np.clip(free - step, _LOWEST, _HIGHEST)
            tried = self._system(trial, fences)
            better = may & (tried[0] < cost)
            settled = np.where(better, cost - tried[0] <= _SETTLED * cost, ~may | (damping > _STUCK)).all()
            damping = np.where(better, damping * 0.2, damping * 8.0)
            free = np.where(better[:, np.newaxis], trial, free)
            cost = np.where(better, tried[0], cost)
            normal = np.where(better[:, np.newaxis, np.newaxis], tried[1], normal)
            gradient = np.where(better[:, np.newaxis], tried[2], gradient)
            if settled:
                break
        return self._fit(free)

    def _fit(self, free: Array) -> Fit:
        """Errors of slices, from the observations and the centre alone."""
        cost, normal, _ = self._system(free, None)
        at_money = _curve(_natural(free), np.zeros(len(free)))[1].T
        variance = np.einsum("mp,mp->m", at_money, np.linalg.solve(normal, at_money[:, :, np.newaxis])[:, :, 0])
        misfit = np.sqrt(cost / np.maximum(self._count, 1))
        error = np.sqrt(variance) * np.maximum(misfit, 1.0) * self._scale
        return Fit(from_free(free, self._scale), free, error, misfit)

    def _system(self, free: Array, fences: tuple[Array, Array] | None) -> tuple[Array, Array, Array]:
        """Cost, normal matrix and gradient of each slice: shapes (m,), (m, 5, 5), (m, 5)."""
        off = (free - self._centre) / _PRIOR_ERROR
        cost = (off * off).sum(axis=1)
        gradient = off / _PRIOR_ERROR
        normal = np.zeros((len(free), PARAMETERS, PARAMETERS))
        diagonal = np.arange(PARAMETERS)
        normal[:, diagonal, diagonal] = 1.0 / _PRIOR_ERROR**2

        parts = _natural(free)
        if len(self._present):
            y, slopes = _curve(tuple(part[self._expiry] for part in parts), self._x)
            z = (y - self._y) * self._precision
            size = np.maximum(np.abs(z), 1e-300)
            weight = np.where(z * self._kind > 0.0, 0.0, np.minimum(1.0, _HUBER / size))
            pull = weight * z
            # Huber's loss: quadratic inside, linear outside.
            loss = np.where(weight > 0.0, np.minimum(size, _HUBER) * (2.0 * size - np.minimum(size, _HUBER)), 0.0)
            weighted = slopes * (weight * self._precision * self._precision)
            cost[self._present] += np.add.reduceat(loss, self._starts)
            gradient[self._present] += np.add.reduceat(slopes * (pull * self._precision), self._starts, axis=1).T
            for p in range(PARAMETERS):
                sums = np.add.reduceat(weighted[p] * slopes[p:], self._starts, axis=1)
                normal[self._present, p, p:] += sums.T
        self._penalise(parts, fences, (cost, normal, gradient))
        lower = np.tril_indices(PARAMETERS, -1)
        normal[:, lower[0], lower[1]] = normal[:, lower[1], lower[0]]
        return cost, normal, gradient

    def _fences(self, neighbours: RawSvi) -> tuple[Array, Array]:
        """What a slice must keep above and below, at its grid and in the slopes of its wings, (m, g + 2) each."""
        columns = neighbours.columns()
        scale, root = self._scale[:, np.newaxis], np.sqrt(self._scale)
        put, call = neighbours.wings()
        floor, ceiling = (
            np.full((len(scale), len(_CALENDAR_ERROR)), -np.inf),
            np.full((len(scale), len(_CALENDAR_ERROR)), np.inf),
        )
        floor[1:, :-2] = columns.take(slice(0, -1)).w(self._grid[1:]) / scale[1:]
        floor[1:, -2], floor[1:, -1] = put[:-1] / root[1:], call[:-1] / root[1:]
        ceiling[:-1, :-2] = columns.take(slice(1, None)).w(self._grid[:-1]) / scale[:-1]
        ceiling[:-1, -2], ceiling[:-1, -1] = put[1:] / root[:-1], call[1:] / root[:-1]
        return floor * (1.0 + _CLEARANCE), ceiling * (1.0 - _CLEARANCE)

    def _penalise(
        self, parts: tuple[Array, ...], fences: tuple[Array, Array] | None, system: tuple[Array, Array, Array]
    ) -> None:
        """Add what negative density and crossing a neighbour cost."""
        columns = tuple(part[:, np.newaxis] for part in parts)
        y, slopes = _curve(columns, _CALENDAR_X[np.newaxis, :])
        g, of_y, of_bend, bend_slopes, turn_slopes = _density(columns, self._scale[:, np.newaxis], _CALENDAR_X, y)
        short = np.minimum(g - _G_MARGIN, 0.0) / _G_ERROR
        if short.any():
            _add(
                system, short, (of_y * slopes + of_bend * bend_slopes + 0.5 * turn_slopes) * ((short < 0.0) / _G_ERROR)
            )
        if fences is None:
            return
        _, b, rho, _, _ = parts
        put, call, turn = b * (1.0 - rho), b * (1.0 + rho), b * (1.0 - rho * rho)
        y = np.concatenate((y, put[:, np.newaxis], call[:, np.newaxis]), axis=1)
        broken = (np.minimum(y - fences[0], 0.0) + np.maximum(y - fences[1], 0.0)) / _CALENDAR_ERROR
        if broken.any():
            wings = np.zeros((PARAMETERS, len(b), 2))
            wings[1, :, 0], wings[1, :, 1], wings[2, :, 0], wings[2, :, 1] = put, call, -turn, turn
            _add(system, broken, np.concatenate((slopes, wings), axis=2) * ((broken != 0.0) / _CALENDAR_ERROR))


def _add(system: tuple[Array, Array, Array], z: Array, slopes: Array) -> None:
    """Add residuals of shape (m, g) with their derivatives, (5, m, g), to cost, normal matrix and gradient."""
    cost, normal, gradient = system
    cost += (z * z).sum(axis=1)
    normal += np.einsum("pmg,qmg->mpq", slopes, slopes)
    gradient += (slopes * z).sum(axis=2).T


def _density(parts: tuple[Array, ...], scale: Array, x: Array, y: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Durrleman's g in scaled coordinates, and what its derivative in the free numbers is made of.

    g = (1 - x y' / 2y)^2 - y'^2 / 4y - s y'^2 / 16 + y'' / 2 with w = s y and k = sqrt(s) x.

    Returns:
        g, dg/dy, dg/dy' (dg/dy'' is one half), and the derivatives of y' and y'' in the free numbers, (5, m, g) each.
    """
    _, b, rho, m, sigma = parts
    z = x - m
    square = sigma * sigma
    inverse = 1.0 / np.sqrt(z * z + square)
    first = b * (rho + z * inverse)
    second = b * square * inverse**3
    bend = 1.0 - 0.5 * x * first / y
    g = bend * bend - first * first * (0.25 / y + scale / 16.0) + 0.5 * second
    of_y = (bend * x * first + 0.25 * first * first) / (y * y)
    of_first = -bend * x / y - first * (0.5 / y + 0.125 * scale)
    bends, turns = np.zeros((PARAMETERS, *z.shape)), np.zeros((PARAMETERS, *z.shape))
    bends[1], bends[2], bends[3], bends[4] = first, b * (1.0 - rho * rho), -second, -second * z
    third = 3.0 * second * inverse * inverse
    turns[1], turns[3], turns[4] = second, third * z, 2.0 * second - third * square
    return g, of_y, of_first, bends, turns
