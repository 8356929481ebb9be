"""Butterfly and calendar tests of raw SVI slices, and the repairs that make a set of slices free of both.

Butterfly: g(k) >= 0 everywhere (no negative density) and neither wing steeper than 2. Calendar: total variance at
equal k does not fall from one expiry to the next. Where a slice fails, it moves towards one that is known to be good,
only as far as it must.

Sources: Gatheral, Jacquier (2014); Lee (2004); Durrleman (2005).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from pricing.svi import Array, RawSvi, ssvi, to_jump_wings

Mask = npt.NDArray[np.bool_]

STEEPEST_WING: Final = 1.99
"""Lee's bound is 2; the limit of g far out, 1/4 - slope^2/16, must stay clear of rounding."""

MIN_G: Final = 1e-4
"""A slice counts as good with g above this on the grid, so that no point between grid points falls below zero."""

_POINTS: Final = 129
_NARROW_POINTS: Final = 33
_NARROW_REACH: Final = 4.0
_REFINED: Final = 17
_REFINEMENTS: Final = 2
_WATCHED_G: Final = 0.2
_BISECTIONS: Final = 20
_NEWTON_STEPS: Final = 8
_WATCHED_GAP: Final = 0.1
_BEYOND: Final = np.geomspace(1.0, 1e6, 25)
_HAIR: Final = 1.0 + 1e-9
_STEEPER_WINGS: Final = (0.0, 0.001, 0.004, 0.016, 0.064, 0.25)
"""By how much a repair steepens a wing, in turn, before it lifts the slice instead."""


def grid(svi: RawSvi) -> Array:
    """Log-moneyness where slices are tested, ascending, shape (m, g).

    Around m, k = m + sigma sinh(u), out to 40 times the largest length of the smile; beyond that g is monotone up to
    its limit, which the slopes of the wings decide. Around the point of least variance, where the smile may be far
    narrower than sigma, the same on the scale on which the variance doubles.
    """
    root = np.sqrt(np.maximum(svi.w(np.zeros_like(svi.a)), 1e-16))
    flat = np.sqrt(np.maximum(1.0 - svi.rho * svi.rho, 1e-12))
    bottom = svi.m - svi.sigma * svi.rho / flat
    reach = 40.0 * np.maximum(np.maximum(svi.sigma + np.abs(svi.m), np.abs(bottom)), root)
    narrow = np.sqrt(2.0 * np.maximum(svi.minimum(), 1e-16) * svi.sigma / (np.maximum(svi.b, 1e-12) * flat**3))
    parts = (
        _spread(svi.m, svi.sigma, np.arcsinh(reach / svi.sigma), _POINTS),
        _spread(bottom, np.minimum(narrow, svi.sigma), np.full_like(root, _NARROW_REACH), _NARROW_POINTS),
    )
    return np.sort(np.concatenate(parts, axis=1), axis=1)


def _spread(centre: Array, scale: Array, span: Array, points: int) -> Array:
    u = np.linspace(-1.0, 1.0, points) * span[:, np.newaxis]
    return np.asarray(centre[:, np.newaxis] + scale[:, np.newaxis] * np.sinh(u))


def min_g(svi: RawSvi) -> Array:
    """The smallest g of each slice, shape (m,): on its grid, on finer ones around low local minima, and far out.

    Minus infinity where a slice is not positive or not a number.
    """
    k = grid(svi)
    with np.errstate(all="ignore"):
        values = svi.columns().g(k)
        bad = np.isnan(values).any(axis=1) | ~(svi.minimum() > 0.0) | ~(svi.sigma > 0.0) | ~(np.abs(svi.rho) < 1.0)
        smallest = np.where(bad, -np.inf, values.min(axis=1, initial=np.inf))
        inner = values[:, 1:-1]
        is_low = (inner <= values[:, :-2]) & (inner <= values[:, 2:]) & (inner < _WATCHED_G) & ~bad[:, np.newaxis]
        row, at = np.nonzero(is_low)
        low, high, own = k[row, at], k[row, at + 2], svi.take(row).columns()
        for _ in range(_REFINEMENTS):
            finer = low[:, np.newaxis] + (high - low)[:, np.newaxis] * np.linspace(0.0, 1.0, _REFINED)
            values = own.g(finer)
            best = np.clip(values.argmin(axis=1), 1, _REFINED - 2)
            rows = np.arange(len(row))
            low, high = finer[rows, best - 1], finer[rows, best + 1]
            np.minimum.at(smallest, row, values.min(axis=1, initial=np.inf))
    put, call = svi.wings()
    return np.asarray(np.minimum(smallest, 0.25 - np.maximum(put, call) ** 2 / 16.0))


def has_butterfly(svi: RawSvi) -> Mask:
    """Whether a slice has negative density or a wing steeper than Lee allows, shape (m,)."""
    put, call = svi.wings()
    return ~((min_g(svi) >= 0.0) & (np.maximum(put, call) <= 2.0))


def is_clear(svi: RawSvi) -> Mask:
    """Whether a slice is free of butterflies with the margin that repairs keep, shape (m,)."""
    put, call = svi.wings()
    return (min_g(svi) >= MIN_G) & (np.maximum(put, call) <= STEEPEST_WING)


def nearest_ssvi(svi: RawSvi) -> RawSvi:
    """The SSVI slice of the same at-the-money variance, skew and put wing, flattened until it is free of butterflies.

    In jump wings: c* = p + 2 psi and v_min* = 4 p c* / (p + c*)^2 v. Free of butterflies where
    theta phi (1 + |rho|) < 4 and theta phi^2 (1 + |rho|) <= 4; phi is lowered until both hold.

    Source: Gatheral, Jacquier (2014), theorem 4.2 and section 5.1.
    """
    jw = to_jump_wings(svi, np.ones_like(svi.a))
    theta = jw.v
    put = np.maximum(jw.p, 1e-8)
    rho = np.clip(jw.psi / np.maximum(put + jw.psi, 1e-12), -0.99, 0.99)
    phi = 2.0 * np.maximum(put + jw.psi, 0.505 * put) / np.sqrt(theta)
    ceiling = 4.0 * (1.0 - 2e-3) / (theta * (1.0 + np.abs(rho)))
    return ssvi(theta, np.minimum(phi, np.minimum(ceiling * STEEPEST_WING / 2.0, np.sqrt(ceiling))), rho)


def blend(first: RawSvi, second: RawSvi, share: Array) -> RawSvi:
    """Slices between two sets in raw coordinates, 0 the first and 1 the second; the wings move linearly too."""
    rest = 1.0 - share
    b = rest * first.b + share * second.b
    skew = rest * first.b * first.rho + share * second.b * second.rho
    return RawSvi(
        rest * first.a + share * second.a,
        b,
        np.where(b > 0.0, skew / np.where(b > 0.0, b, 1.0), 0.0),
        rest * first.m + share * second.m,
        rest * first.sigma + share * second.sigma,
    )


def repair_butterflies(svi: RawSvi) -> RawSvi:
    """Slices free of butterflies: those that are already, unchanged; the others moved towards `nearest_ssvi`.

    The move is the smallest on the straight line in raw coordinates, found by bisection; its far end is always good.
    """
    wrong = ~is_clear(svi)
    if not wrong.any():
        return svi
    start = svi.take(wrong)
    goal = nearest_ssvi(start)
    low, high = np.zeros_like(start.a), np.ones_like(start.a)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        good = is_clear(blend(start, goal, middle))
        high, low = np.where(good, middle, high), np.where(good, low, middle)
    fixed = blend(start, goal, high)
    columns = [column.copy() for column in svi]
    for column, values in zip(columns, fixed, strict=True):
        column[wrong] = values
    return RawSvi(*columns)


def _lowest(earlier: RawSvi, later: RawSvi) -> tuple[Array, Array]:
    """The smallest w(later) - w(earlier) of each pair and the k where it is, shape (m,) each; far out left aside.

    Every low local minimum on the slices' grids is followed to its bottom by Newton's method in its bracket: two smiles
    can touch between any two points.
    """
    near, far = grid(earlier), grid(later)
    edge = np.maximum(np.abs(near).max(axis=1), np.abs(far).max(axis=1))[:, np.newaxis]
    k = np.sort(np.concatenate((near, far, -edge * _BEYOND, edge * _BEYOND), axis=1), axis=1)
    above = later.columns().w(k)
    gap = above - earlier.columns().w(k)
    inner = gap[:, 1:-1]
    pair, at = np.nonzero((inner <= gap[:, :-2]) & (inner <= gap[:, 2:]) & (inner < _WATCHED_GAP * above[:, 1:-1]))
    low, x, high = k[pair, at], k[pair, at + 1], k[pair, at + 2]
    first, second = earlier.take(pair), later.take(pair)
    for _ in range(_NEWTON_STEPS):
        _, slope, bend = (b - a for a, b in zip(first.derivatives(x), second.derivatives(x), strict=True))
        low, high = np.where(slope < 0.0, x, low), np.where(slope > 0.0, x, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = x - slope / bend
        x = np.where((newton >= low) & (newton <= high) & (bend > 0.0), newton, 0.5 * (low + high))
    best = gap.argmin(axis=1)
    rows = np.arange(len(gap))
    smallest, where = gap[rows, best], k[rows, best]
    bottom = second.w(x) - first.w(x)
    for row in range(len(rows)):
        mine = np.flatnonzero(pair == row)
        if len(mine) and bottom[mine].min() < smallest[row]:
            deepest = mine[bottom[mine].argmin()]
            smallest[row], where[row] = bottom[deepest], x[deepest]
    return smallest, where


def calendar_gap(earlier: RawSvi, later: RawSvi) -> Array:
    """The smallest w(later) - w(earlier) of each pair, shape (m,); minus infinity where a wing falls behind far out."""
    (put, call), (later_put, later_call) = earlier.wings(), later.wings()
    behind = (later_put < put * (1.0 - 1e-12)) | (later_call < call * (1.0 - 1e-12))
    return np.where(behind, -np.inf, _lowest(earlier, later)[0])


def has_calendar(svi: RawSvi) -> Mask:
    """Whether total variance falls somewhere from a slice to the next, shape (m - 1,), slices in order of expiry."""
    return calendar_gap(svi.take(slice(None, -1)), svi.take(slice(1, None))) < 0.0


def _steeper(later: RawSvi, put: Array, call: Array) -> RawSvi:
    """The slice with other slopes of its wings and the same total variance at the money."""
    b = 0.5 * (put + call)
    steep = RawSvi(later.a, b, 0.5 * (call - put) / b, later.m, later.sigma)
    middle = np.zeros_like(b)
    return steep._replace(a=later.a + later.w(middle) - steep.w(middle))


def _raised(earlier: RawSvi, later: RawSvi) -> RawSvi:
    """The later slice moved above the earlier one: by the wings on the side where they cross, else as a whole.

    Wings that cross tens of standard deviations out need a hair more slope, which the quoted strikes do not feel; to
    lift the whole slice for them would move every theo.
    """
    (put, call), (later_put, later_call) = earlier.wings(), later.wings()
    put, call = np.maximum(put * _HAIR, later_put), np.maximum(call * _HAIR, later_call)
    level = _steeper(later, put, call)
    k = np.concatenate((grid(earlier), grid(level)), axis=1)
    crossed = k[level.columns().w(k) < earlier.columns().w(k)]
    on_put, on_call = float((crossed < 0.0).any()), float((crossed > 0.0).any())
    for share in _STEEPER_WINGS:
        candidate = _steeper(later, put * (1.0 + share * on_put), call * (1.0 + share * on_call))
        if _is_good(earlier, candidate):
            return candidate
    gap, where = _lowest(earlier, level)
    return level._replace(a=level.a + np.maximum(-gap, 0.0) + (_HAIR - 1.0) * level.w(where))


def repair_calendar(svi: RawSvi) -> RawSvi:
    """Slices free of calendar arbitrage and butterflies, given slices free of butterflies, in order of expiry.

    Each slice in turn is compared with the one before it, as repaired. Where they cross, the later one's wings are
    steepened or it is lifted; where that bends it into a butterfly, it moves towards the earlier slice itself,
    which can not cross itself, only as far as it must.
    """
    if not has_calendar(svi).any():
        return svi
    repaired = [svi.take(slice(0, 1))]
    for j in range(1, len(svi.a)):
        before, slice_ = repaired[-1], svi.take(slice(j, j + 1))
        if calendar_gap(before, slice_)[0] >= 0.0:
            repaired.append(slice_)
            continue
        repaired.append(_nearest_above(before, _raised(before, slice_)))
    return RawSvi(*(np.concatenate(column) for column in zip(*repaired, strict=True)))


def _nearest_above(before: RawSvi, after: RawSvi) -> RawSvi:
    """The slice nearest to `after`, on the way to `before`, that is free of butterflies and nowhere below `before`."""
    if _is_good(before, after):
        return after
    best, low, high = before, 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        candidate = blend(after, before, np.array([middle]))
        if _is_good(before, candidate):
            best, high = candidate, middle
        else:
            low = middle
    return best


def _is_good(before: RawSvi, after: RawSvi) -> bool:
    return bool(calendar_gap(before, after)[0] >= 0.0 and is_clear(after)[0])
