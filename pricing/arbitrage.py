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

_POINTS: Final = 161
_REFINED: Final = 17
_BISECTIONS: Final = 20
_WING_BISECTIONS: Final = 8
_HAIR: Final = 1.0 + 1e-9
_STEEPEST_REPAIR: Final = 0.25
"""By how much a repair may steepen a wing before it lifts the slice instead."""


def grid(svi: RawSvi, points: int = _POINTS) -> Array:
    """Log-moneyness where slices are tested, shape (m, points): dense at the vertex, then geometric, far out.

    k = m + sigma sinh(u). It reaches 40 times the largest of sigma, |m| and sqrt(w(0)); beyond that g is monotone up to
    its limit, which the slopes of the wings decide.
    """
    root = np.sqrt(np.maximum(svi.w(np.zeros_like(svi.a)), 1e-16))
    reach = 40.0 * np.maximum(np.maximum(svi.sigma, np.abs(svi.m)), root)
    u = np.linspace(-1.0, 1.0, points) * np.arcsinh(reach / svi.sigma)[:, np.newaxis]
    return np.asarray(svi.m[:, np.newaxis] + svi.sigma[:, np.newaxis] * np.sinh(u))


def min_g(svi: RawSvi) -> Array:
    """The smallest g of each slice, shape (m,): on the grid, then on a finer one around the smallest, and far out.

    Minus infinity where a slice is not positive or not a number.
    """
    columns = svi.columns()
    k = grid(svi)
    with np.errstate(all="ignore"):
        values = columns.g(k)
        bad = np.isnan(values).any(axis=1) | ~(svi.minimum() > 0.0) | ~(svi.sigma > 0.0) | ~(np.abs(svi.rho) < 1.0)
        at = np.clip(np.argmin(np.where(np.isnan(values), np.inf, values), axis=1), 1, k.shape[1] - 2)
        rows = np.arange(len(at))
        low, high = k[rows, at - 1], k[rows, at + 1]
        finer = low[:, np.newaxis] + (high - low)[:, np.newaxis] * np.linspace(0.0, 1.0, _REFINED)
        put, call = svi.wings()
        far = 0.25 - np.maximum(put, call) ** 2 / 16.0
        smallest = np.minimum(np.minimum(values.min(axis=1), columns.g(finer).min(axis=1)), far)
    return np.where(bad, -np.inf, smallest)


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


def calendar_gap(earlier: RawSvi, later: RawSvi) -> Array:
    """The smallest w(later) - w(earlier) of each pair, shape (m,); minus infinity where a wing falls behind far out."""
    k = np.concatenate((grid(earlier), grid(later)), axis=1)
    gap = (later.columns().w(k) - earlier.columns().w(k)).min(axis=1)
    (put, call), (later_put, later_call) = earlier.wings(), later.wings()
    behind = (later_put < put * (1.0 - 1e-12)) | (later_call < call * (1.0 - 1e-12))
    return np.asarray(np.where(behind, -np.inf, gap))


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
    best, low, high = None, 0.0, _STEEPEST_REPAIR
    for turn in range(_WING_BISECTIONS):
        share = high if turn == 0 else 0.5 * (low + high)
        candidate = _steeper(later, put * (1.0 + share * on_put), call * (1.0 + share * on_call))
        if _is_good(earlier, candidate):
            best, high = candidate, share
        elif turn == 0:
            break
        else:
            low = share
    if best is not None:
        return best
    k = np.concatenate((grid(earlier), grid(level)), axis=1)
    short = (earlier.columns().w(k) * _HAIR - level.columns().w(k)).max(axis=1)
    return level._replace(a=level.a + np.maximum(short, 0.0))


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
