"""Forward and discount of every expiry from put-call parity: C - P = D (F - K).

Each pair of a call and a put at one strike gives an interval for D (F - K): from (call bid - put ask) to (call ask -
put bid). Forwards are robust averages of the middles; pairs with a side missing bound them. The rate comes from the
slopes over the strikes of all expiries together, because a single short one says nothing about it. American quotes
enter less their early-exercise premium, as of the last refresh.

An expiry with few or wide pairs leans on its neighbours: the logarithm of F / S is written as basis + carry * T. The
basis is common to all expiries and absorbs what the underlying's midpoint gets wrong; carry moves slowly with ln T.

Sources: Stoll (1969), J. Finance 24, 801-824 (parity); Huber (1964), Ann. Math. Statist. 35, 73-101 (weights).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from domain.chain import NO_PARTNER, Chain
from domain.errors import InputError

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

_ROUNDS: Final = 6
_HUBER: Final = 1.5
_REJECT: Final = 6.0
"""Pairs this many standard errors off the others are quote errors, not information."""

_FLOOR: Final = 0.005
"""Dollars: no pair is better than this, or one locked market would set the forward alone."""

_SHARE_OF_WIDTH: Final = 0.25
"""One standard error of a middle, as a share of the interval: a uniform law has 0.29, and quoters do better."""


class ForwardSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How forwards are implied.

    Attributes:
        rate: What the rate is believed to be before parity speaks, continuously compounded. Absent: the carry of the
            forwards themselves, right for an underlying without dividends.
        rate_error: One standard error of that belief.
        rate_floor: Lowest rate.
        rate_cap: Highest rate.
        carry_error: How far carry (rate less yield) may differ between expiries a factor e apart, per year.
        reach: Pairs count within this many sqrt(T) of log-moneyness, at least 0.02, at most 0.25.
    """

    rate: float | None = None
    rate_error: float = 0.005
    rate_floor: float = -0.02
    rate_cap: float = 0.15
    carry_error: float = 0.01
    reach: float = 0.8

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            InputError: A field is out of range.
        """
        for name in ("rate_error", "carry_error", "reach"):
            if not getattr(self, name) > 0.0:
                raise InputError("must be positive", field=f"forward.{name}", value=getattr(self, name))
        if not self.rate_floor < self.rate_cap:
            raise InputError("must be below rate_cap", field="forward.rate_floor", value=self.rate_floor)
        if self.rate is not None and not self.rate_floor <= self.rate <= self.rate_cap:
            raise InputError("must be within rate_floor and rate_cap", field="forward.rate", value=self.rate)


@dataclass(frozen=True, slots=True)
class ParityPairs:
    """Calls and puts of one root, expiry and strike; contracts changed by a corporate action are left out.

    `call`, `put`: positions in the chain. `strike`: dollars. `expiry`: expiry index. Shape (p,) each, by expiry.
    """

    call: Index
    put: Index
    strike: Array
    expiry: Index
    expiries: int

    @classmethod
    def of(cls, chain: Chain) -> ParityPairs:
        """The pairs of a chain."""
        call = np.flatnonzero((chain.sign > 0.0) & (chain.partner != NO_PARTNER) & ~chain.is_adjusted)
        return cls(
            call,
            chain.partner[call].astype(np.intp),
            chain.strike[call],
            chain.expiry_index[call].astype(np.intp),
            len(chain.expiries),
        )


@dataclass(frozen=True, slots=True)
class Forwards:
    """Forward and discount of each expiry, shape (m,) each.

    F = S exp(basis + (rate - carry_yield) T). `spot_scale`, which is exp(basis), carries the part of F / S that is a
    midpoint's error rather than carry, so that a yield stays a yield on the last day. An expired expiry has years 0
    and the spot as its forward.

    Attributes:
        spot: Midpoint of the underlying, dollars.
        years: Years to expiry.
        forward: Dollars per share.
        error: One standard error of it.
        discount: Discount factor.
        rate: Continuously compounded, the same for all.
        carry_yield: Rate less carry: dividends and borrow fee, per year.
        pairs: Two-sided pairs used.
    """

    spot: float
    years: Array
    forward: Array
    error: Array
    discount: Array
    rate: Array
    carry_yield: Array
    pairs: npt.NDArray[np.int32]

    @property
    def spot_scale(self) -> Array:
        """What to multiply the spot with so that spot, rate and yield give the forward exactly."""
        scale: Array = self.forward * np.exp((self.carry_yield - self.rate) * self.years) / self.spot
        return scale


@dataclass(frozen=True, slots=True)
class _Rows:
    """Pairs with a known side. `kind` 0: `value` is D (F - K); +1: it is at least that; -1: at most."""

    strike: Array
    expiry: Index
    value: Array
    error: Array
    kind: npt.NDArray[np.int8]
    expiries: int

    def take(self, mask: Mask) -> _Rows:
        """The rows of a mask."""
        kept = (self.strike[mask], self.expiry[mask], self.value[mask], self.error[mask], self.kind[mask])
        return _Rows(*kept, self.expiries)

    def total(self, values: Array) -> Array:
        """Sums by expiry, shape (m,)."""
        return np.bincount(self.expiry, values, self.expiries).astype(np.float64, copy=False)


def imply_forwards(
    pairs: ParityPairs,
    bid: Array,
    ask: Array,
    premium: Array,
    years: Array,
    spot: float,
    spot_error: float,
    settings: ForwardSettings,
) -> Forwards:
    """Imply forward, discount and carry of every expiry.

    Args:
        pairs: The pairs of the chain.
        bid: Dollars per share, not a number where the side is absent. Shape (n,).
        ask: The same for the ask. A contract whose bid is above its ask is left out.
        premium: Early-exercise premium of each contract, dollars; 0 where European or not yet known. Shape (n,).
        years: Years to expiry, shape (m,); zero or less is expired.
        spot: Midpoint of the underlying, dollars.
        spot_error: One standard error of that midpoint, dollars.
        settings: How.

    Returns:
        Forwards of all expiries. One without pairs is carried from its neighbours, with a larger error.

    Raises:
        InputError: The spot is not positive.
    """
    if not spot > 0.0:
        raise InputError("must be positive", field="spot", value=spot)
    live = years > 0.0
    time = np.where(live, years, 0.0)
    rows = _rows(pairs, bid, ask, premium, live)
    window = np.clip(settings.reach * np.sqrt(time), 0.02, 0.25)[rows.expiry]
    near = rows.take(np.abs(np.log(rows.strike / spot)) <= window)

    rate = settings.rate if settings.rate is not None else 0.0
    for _ in range(2):
        discount = np.exp(-rate * time)
        forward, error, _ = _locate(near, discount, spot)
        basis, basis_error, carry = _trend(forward, error, time, spot, spot_error, rate, settings)
        rate = _pool_rate(rows, forward, discount, time, carry if settings.rate is None else settings.rate, settings)
    discount = np.exp(-rate * time)
    forward, error, count = _locate(near, discount, spot)
    basis, basis_error, carry = _trend(forward, error, time, spot, spot_error, rate, settings)
    forward, error, carry_of = _lean(forward, error, time, spot, (basis, basis_error), carry, settings)
    return Forwards(
        spot=spot,
        years=time,
        forward=np.where(live, forward, spot),
        error=np.where(live, error, spot_error),
        discount=discount,
        rate=np.full_like(time, rate),
        carry_yield=np.where(live, rate - carry_of, 0.0),
        pairs=np.where(live, count, 0).astype(np.int32),
    )


def _rows(pairs: ParityPairs, bid: Array, ask: Array, premium: Array, live: Mask) -> _Rows:
    crossed = bid > ask
    bid, ask = np.where(crossed, np.nan, bid) - premium, np.where(crossed, np.nan, ask) - premium
    low, high = bid[pairs.call] - ask[pairs.put], ask[pairs.call] - bid[pairs.put]
    has_low, has_high = ~np.isnan(low), ~np.isnan(high)
    kept = (has_low | has_high) & live[pairs.expiry]
    low, high, has_low, has_high = low[kept], high[kept], has_low[kept], has_high[kept]
    both = has_low & has_high
    error = np.maximum(_SHARE_OF_WIDTH * (high - low), _FLOOR)
    # A bound has no width of its own: it is as soft as a typical pair.
    error = np.where(both, error, np.median(error[both]) if both.any() else 1.0)
    value = np.where(both, 0.5 * (low + high), np.where(has_low, low, high))
    kind = np.where(both, 0, np.where(has_low, 1, -1)).astype(np.int8)
    return _Rows(pairs.strike[kept], pairs.expiry[kept], value, error, kind, pairs.expiries)


def _locate(rows: _Rows, discount: Array, spot: float) -> tuple[Array, Array, Array]:
    """Forward, its standard error and the number of two-sided pairs; an infinite error where nothing is known."""
    scale = discount[rows.expiry]
    point = rows.strike + rows.value / scale
    precision = (scale / rows.error) ** 2
    certain = rows.kind == 0
    middle, middle_precision = _between_bounds(rows, point)
    middle_precision *= discount**2
    forward = _weighted_median(
        rows, point, np.where(certain, precision, 0.0), np.where(middle_precision > 0.0, middle, spot)
    )
    total, known = middle_precision, middle_precision > 0.0
    weight = precision
    for _ in range(_ROUNDS):
        z = (point - forward[rows.expiry]) * scale / rows.error
        # A bound speaks only where it is broken: z > 0 breaks a lower one, z < 0 an upper one.
        speaks = certain | (z * rows.kind > 0.0)
        size = np.maximum(np.abs(z), 1e-300)
        weight = np.where(speaks & (size < _REJECT), precision * np.minimum(1.0, _HUBER / size), 0.0)
        total = rows.total(weight) + middle_precision
        known = total > 0.0
        summed = rows.total(weight * point) + middle_precision * middle
        forward = np.where(known, summed / np.where(known, total, 1.0), forward)
    z = (point - forward[rows.expiry]) * scale / rows.error
    count = rows.total(np.where(certain & (weight > 0.0), 1.0, 0.0))
    misfit = rows.total(np.where(weight > 0.0, np.minimum(z * z, _HUBER**2), 0.0)) / np.maximum(count - 1.0, 1.0)
    known = (rows.total(np.where(certain, weight, 0.0)) + middle_precision) > 0.0
    with np.errstate(divide="ignore"):
        error = np.where(known, np.sqrt(np.maximum(misfit, 1.0) / np.where(known, total, 1.0)), np.inf)
    return forward, error, count


def _between_bounds(rows: _Rows, point: Array) -> tuple[Array, Array]:
    """The middle between the bounds of one-sided pairs, and its precision; 0 where there are not three of each kind.

    The second highest lower bound and the second lowest upper one count: a single wrong quote moves neither.
    """
    edges = []
    for kind in (1, -1):
        mine = np.flatnonzero(rows.kind == kind)
        order = mine[np.lexsort((-kind * point[mine], rows.expiry[mine]))]
        count = np.bincount(rows.expiry[mine], minlength=rows.expiries)
        second = np.cumsum(count) - count + 1
        edge = np.full(rows.expiries, np.nan)
        enough = count >= 3  # one to drop, one to use, one to agree
        edge[enough] = point[order[second[enough]]]
        edges.append(edge)
    low, high = edges
    sound = high > low
    error = np.maximum(_SHARE_OF_WIDTH * (high - low), _FLOOR)
    return np.where(sound, 0.5 * (low + high), 0.0), np.where(sound, error**-2.0, 0.0)


def _weighted_median(rows: _Rows, point: Array, weight: Array, otherwise: Array) -> Array:
    """The weighted median of each expiry's points, shape (m,); `otherwise` where nothing has weight."""
    order = np.lexsort((point, rows.expiry))
    running = np.cumsum(weight[order])
    total = rows.total(weight)
    ends = np.cumsum(total)
    at = np.searchsorted(running, ends - 0.5 * total)
    found = point[order][np.minimum(at, len(order) - 1)] if len(order) else otherwise
    return np.where(total > 0.0, found, otherwise)


def _trend(
    forward: Array, error: Array, time: Array, spot: float, spot_error: float, rate: float, settings: ForwardSettings
) -> tuple[float, float, float]:
    """The common basis of ln(F / S) = basis + carry T, its error, and the pooled carry; least squares with priors."""
    noise = (error / spot) ** 2 + (settings.carry_error * time) ** 2 * 0.25 + 1e-12
    weight = np.where(time > 0.0, 1.0 / noise, 0.0)
    move = np.log(forward / spot)
    prior = settings.rate if settings.rate is not None else rate
    basis, carry, s2, determinant = 0.0, prior, 0.0, 1.0
    for _ in range(3):
        # A dividend ahead of an expiry puts it off the line: it must not turn the line.
        z = (move - basis - carry * time) * np.sqrt(weight)
        robust = weight * np.minimum(1.0, 3.0 / np.maximum(np.abs(z), 1e-300))
        s0, s1, s2 = robust.sum() + (spot / spot_error) ** 2, (robust * time).sum(), (robust * time * time).sum()
        s2 += 1.0 / 0.05**2
        t0, t1 = (robust * move).sum(), (robust * time * move).sum() + prior / 0.05**2
        determinant = s0 * s2 - s1 * s1
        basis, carry = float((s2 * t0 - s1 * t1) / determinant), float((s0 * t1 - s1 * t0) / determinant)
    return basis, float(np.sqrt(s2 / determinant)), carry


def _pool_rate(
    rows: _Rows, forward: Array, discount: Array, time: Array, prior: float, settings: ForwardSettings
) -> float:
    """The rate from the slopes of parity over strikes, pooled over expiries with the prior, and clamped."""
    left = rows.value - discount[rows.expiry] * (forward[rows.expiry] - rows.strike)
    z = np.abs(left) / rows.error
    weight = np.where((rows.kind == 0) & (z < _REJECT), np.minimum(1.0, _HUBER / np.maximum(z, 1e-300)), 0.0)
    weight = weight / rows.error**2
    total = np.maximum(rows.total(weight), 1e-300)
    centred = rows.strike - (rows.total(weight * rows.strike) / total)[rows.expiry]
    spread = rows.total(weight * centred * centred)
    useful = (spread > 0.0) & (time > 0.0)
    slope = rows.total(weight * centred * left) / np.where(useful, spread, 1.0)
    seen = np.maximum(discount + -slope, 0.5)
    lever = discount * np.maximum(time, 1e-300)
    precision = np.where(useful, lever * lever / (1.0 / np.where(useful, spread, 1.0) + 1e-6), 0.0)
    rate_of = -np.log(seen) / np.maximum(time, 1e-300)
    belief = 1.0 / settings.rate_error**2
    rate = (float((precision * rate_of).sum()) + belief * prior) / (float(precision.sum()) + belief)
    return min(max(rate, settings.rate_floor), settings.rate_cap)


def _lean(
    forward: Array,
    error: Array,
    time: Array,
    spot: float,
    common: tuple[float, float],
    carry: float,
    settings: ForwardSettings,
) -> tuple[Array, Array, Array]:
    """Combine each expiry's parity forward with the carry of its neighbours, and split F / S into basis and carry."""
    basis, basis_error = common
    safe = np.maximum(time, 1e-9)
    seen = (np.log(forward / spot) - basis) / safe
    noise = ((error / spot) ** 2 + 1e-10) / safe**2
    apart = np.abs(np.log(safe[:, np.newaxis] / safe))
    with np.errstate(divide="ignore"):
        weight = 1.0 / (noise + settings.carry_error**2 * (apart + 1e-3))
    weight = np.where(np.isfinite(noise) & (time > 0.0), weight, 0.0)
    np.fill_diagonal(weight, 0.0)
    belief = 1.0 / 0.05**2
    seen = np.where(np.isfinite(noise), seen, 0.0)
    expected = (weight @ seen + belief * carry) / (weight.sum(axis=1) + belief)
    spread = 1.0 / (weight.sum(axis=1) + belief)

    carried = spot * np.exp(basis + expected * time)
    carried_error = spot * np.sqrt(spread * time * time + basis_error**2)
    z = np.where(
        np.isfinite(error), (forward - carried) / np.hypot(np.where(np.isfinite(error), error, 1.0), carried_error), 0.0
    )
    # Where pairs and neighbours disagree, there is a dividend between them: the pairs are right.
    pull = np.exp(-0.5 * np.maximum(z * z - 4.0, 0.0)) / carried_error**2
    own = 1.0 / error**2
    combined = (own * forward + pull * carried) / (own + pull)
    combined_error = 1.0 / np.sqrt(own + pull)
    off = np.log(combined / spot) - basis - expected * time
    room = (5.0 * settings.carry_error * time) ** 2
    share = room / (room + (combined_error / spot) ** 2 + 1e-9)
    return combined, combined_error, expected + share * off / safe
