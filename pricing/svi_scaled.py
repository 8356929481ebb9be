"""Raw SVI in coordinates that are of order one for every expiry, for fitting.

x = k / sqrt(s) and y = w / s, where s is about the total variance at the money. A slice is five free numbers: the
logarithms of the smallest y, of b and of sigma, the inverse hyperbolic tangent of rho, and m. Any five numbers make a
positive smile, so that a fit needs no constraints for that.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pricing.svi import Array, RawSvi

PARAMETERS: Final = 5

PRIOR: Final = np.array([np.log(0.6), np.log(0.3), -0.3, 0.0, np.log(1.0)])
"""A typical equity smile."""

LOWEST: Final = np.array([np.log(1e-3), np.log(1e-3), -3.5, -6.0, np.log(0.05)])
HIGHEST: Final = np.array([np.log(5.0), np.log(20.0), 3.5, 6.0, np.log(20.0)])

Parts = tuple[Array, Array, Array, Array, Array]
"""Smallest y, b, rho, m and sigma, all scaled, of one shape."""


def to_free(svi: RawSvi, scale: Array) -> Array:
    """Free numbers of raw slices, shape (m, 5), at the nearest of `LOWEST` and `HIGHEST` where out of bounds."""
    root = np.sqrt(scale)
    free = (
        np.log(np.maximum(svi.minimum() / scale, 1e-12)),
        np.log(np.maximum(svi.b / root, 1e-12)),
        np.arctanh(np.clip(svi.rho, -0.9999, 0.9999)),
        svi.m / root,
        np.log(np.maximum(svi.sigma / root, 1e-12)),
    )
    return np.clip(np.stack(free, axis=1), LOWEST, HIGHEST)


def from_free(free: Array, scale: Array) -> RawSvi:
    """Raw slices of free numbers of shape (m, 5)."""
    low, b, rho, m, sigma = parts_of(free)
    root = np.sqrt(scale)
    return RawSvi((low - b * sigma * np.sqrt(1.0 - rho * rho)) * scale, b * root, rho, m * root, sigma * root)


def parts_of(free: Array) -> Parts:
    """The scaled parameters of free numbers of shape (m, 5), shape (m,) each."""
    return np.exp(free[:, 0]), np.exp(free[:, 1]), np.tanh(free[:, 2]), free[:, 3], np.exp(free[:, 4])


def column(parts: Parts) -> Parts:
    """The same, shape (m, 1) each, for a grid of x of shape (m, g) or (g,)."""
    low, b, rho, m, sigma = parts
    return low[:, None], b[:, None], rho[:, None], m[:, None], sigma[:, None]


def curve(parts: Parts, x: Array) -> tuple[Array, Array]:
    """Values y at x, and their derivatives in the free numbers, shape (5, ...)."""
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


def wings(parts: Parts) -> tuple[Array, Array]:
    """Slopes of y in |x| far out on the put and the call side, shape (m, 2), and their derivatives, (5, m, 2)."""
    _, b, rho, _, _ = parts
    values = np.stack((b * (1.0 - rho), b * (1.0 + rho)), axis=1)
    turn = b * (1.0 - rho * rho)
    slopes = np.zeros((PARAMETERS, *values.shape))
    slopes[1] = values
    slopes[2, :, 0], slopes[2, :, 1] = -turn, turn
    return values, slopes


def density(parts: Parts, scale: Array, x: Array) -> tuple[Array, Array]:
    """Durrleman's g at x, and its derivatives in the free numbers, shape (5, ...).

    g = (1 - x y' / 2y)^2 - y'^2 / 4y - s y'^2 / 16 + y'' / 2, the function of `RawSvi.g` with w = s y, k = sqrt(s) x.
    """
    y, slopes = curve(parts, x)
    _, b, rho, m, sigma = parts
    z = x - m
    square = sigma * sigma
    inverse = 1.0 / np.sqrt(z * z + square)
    first = b * (rho + z * inverse)
    second = b * square * inverse**3
    bend = 1.0 - 0.5 * x * first / y
    g = bend * bend - first * first * (0.25 / y + scale / 16.0) + 0.5 * second

    of_value = (bend * x * first + 0.25 * first * first) / (y * y)
    of_first = -bend * x / y - first * (0.5 / y + 0.125 * scale)
    third = 3.0 * second * inverse * inverse
    slopes *= of_value
    slopes[1] += of_first * first + 0.5 * second
    slopes[2] += of_first * b * (1.0 - rho * rho)
    slopes[3] += -of_first * second + 0.5 * third * z
    slopes[4] += -of_first * second * z + second - 0.5 * third * square
    return g, slopes
