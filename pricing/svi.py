"""Raw SVI slices: total variance, derivatives, Durrleman's g, and the jump-wings and SSVI coordinates.

A slice gives total variance w = vol^2 * T of one expiry at log-moneyness k = ln(K/F):

    w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2))

Sources: Gatheral, Jacquier (2014), Arbitrage-free SVI volatility surfaces, Quantitative Finance 14, 59-71;
Durrleman (2005) for g; Lee (2004), Mathematical Finance 14, 469-480, for the slope of the wings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class RawSvi(NamedTuple):
    """Slices in raw coordinates. Every field is an array of one shape; a method takes a `k` that broadcasts with it.

    Nothing is checked here: `pricing.arbitrage` says whether the slices are free of arbitrage.
    """

    a: Array
    b: Array
    rho: Array
    m: Array
    sigma: Array

    def take(self, index: npt.NDArray[np.integer] | npt.NDArray[np.bool_] | slice) -> RawSvi:
        """Slices by position: one per contract from `expiry_index`, or those of a mask."""
        return RawSvi(*(column[index] for column in self))

    def columns(self) -> RawSvi:
        """The same slices, shape (m, 1): ready for a grid of k of shape (m, g)."""
        return RawSvi(*(column[:, np.newaxis] for column in self))

    def where(self, mask: npt.NDArray[np.bool_], other: RawSvi) -> RawSvi:
        """These slices where `mask` holds, the other's elsewhere."""
        return RawSvi(*(np.where(mask, mine, theirs) for mine, theirs in zip(self, other, strict=True)))

    def w(self, k: Array) -> Array:
        """Total variance at log-moneyness `k`."""
        x = k - self.m
        return np.asarray(self.a + self.b * (self.rho * x + np.sqrt(x * x + self.sigma * self.sigma)))

    def derivatives(self, k: Array) -> tuple[Array, Array, Array]:
        """Total variance and its first two derivatives in k."""
        x = k - self.m
        root = np.sqrt(x * x + self.sigma * self.sigma)
        w = self.a + self.b * (self.rho * x + root)
        return w, self.b * (self.rho + x / root), self.b * (self.sigma / root) ** 2 / root

    def g(self, k: Array) -> Array:
        """Durrleman's function at `k`: the slice's density is negative where g is.

        g = (1 - k w' / 2w)^2 - (w'^2 / 4)(1/w + 1/4) + w'' / 2. Not a number where w is 0.
        """
        w, first, second = self.derivatives(k)
        bend = 1.0 - 0.5 * k * first / w
        return np.asarray(bend * bend - 0.25 * first * first * (1.0 / w + 0.25) + 0.5 * second)

    def minimum(self) -> Array:
        """The smallest total variance of each slice."""
        return np.asarray(self.a + self.b * self.sigma * np.sqrt(1.0 - self.rho * self.rho))

    def wings(self) -> tuple[Array, Array]:
        """How fast w rises per unit of |k|, far out on the put side and on the call side. Lee (2004): at most 2."""
        return self.b * (1.0 - self.rho), self.b * (1.0 + self.rho)


class JumpWings(NamedTuple):
    """Slices in jump-wings coordinates, which a trader reads: they barely depend on the expiry.

    `v`: at-the-money variance per year. `psi`: at-the-money skew, d vol / dk times sqrt(T). `p`, `c`: slopes of the put
    and call wings over sqrt(w(0)). `v_min`: smallest variance per year.
    """

    v: Array
    psi: Array
    p: Array
    c: Array
    v_min: Array


def to_jump_wings(svi: RawSvi, years: Array) -> JumpWings:
    """Convert raw slices of expiries in `years` (positive).

    Source: Gatheral, Jacquier (2014), equation 3.5.
    """
    reach = np.hypot(svi.m, svi.sigma)
    w = svi.a + svi.b * (reach - svi.rho * svi.m)
    root = np.sqrt(w)
    return JumpWings(
        v=w / years,
        psi=0.5 * svi.b * (svi.rho - svi.m / reach) / root,
        p=svi.b * (1.0 - svi.rho) / root,
        c=svi.b * (1.0 + svi.rho) / root,
        v_min=svi.minimum() / years,
    )


def from_jump_wings(jw: JumpWings, years: Array) -> RawSvi:
    """Convert back. Where `psi` is 0 the coordinates do not determine the curvature: the result is not a number.

    With beta = m / sqrt(m^2 + sigma^2) the inverse needs no case distinction for m = 0, unlike the published lemma.

    Source: Gatheral, Jacquier (2014), lemma 3.2.
    """
    w = jw.v * years
    root = np.sqrt(w)
    b = 0.5 * root * (jw.c + jw.p)
    rho = (jw.c - jw.p) / (jw.c + jw.p)
    beta = rho - 2.0 * jw.psi * root / b
    with np.errstate(invalid="ignore", divide="ignore"):
        across = np.sqrt((1.0 - rho * rho) * (1.0 - beta * beta))
        reach = (w - jw.v_min * years) / (b * (1.0 - rho * beta - across))
        sigma = reach * np.sqrt(1.0 - beta * beta)
        a = jw.v_min * years - b * sigma * np.sqrt(1.0 - rho * rho)
    return RawSvi(a, b, rho, beta * reach, sigma)


def ssvi(theta: Array, phi: Array, rho: Array) -> RawSvi:
    """Raw coordinates of SSVI slices w(k) = theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2)).

    Args:
        theta: Total variance at the money, positive.
        phi: Curvature, positive.
        rho: Correlation, in (-1, 1).

    Source: Gatheral, Jacquier (2014), section 4.
    """
    flat = 1.0 - rho * rho
    return RawSvi(0.5 * theta * flat, 0.5 * theta * phi, rho, -rho / phi, np.sqrt(flat) / phi)
