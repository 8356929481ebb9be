"""Seeded random numbers: one stream for each (run seed, stage, underlying)."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt


def seed_words(seed: int, *names: str) -> list[int]:
    """Four 32-bit words derived from a run's seed and the names of the user of the stream."""
    text = "\x1f".join((str(seed), *names)).encode()
    digest = hashlib.blake2b(text, digest_size=16).digest()
    return [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]


def generator(seed: int, stage: str, underlying: str) -> np.random.Generator:
    """The Generator of one stage for one underlying. Philox: the same on every platform."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed_words(seed, stage, underlying))))


def hash_uniform(seed: int, *keys: npt.NDArray[np.integer] | int) -> npt.NDArray[np.float64]:
    """Uniforms in [0, 1) that depend only on the seed and integer keys: no state, any order.

    Args:
        seed: Run seed.
        keys: Integer arrays or scalars that broadcast together.

    Returns:
        float64 array of the broadcast shape.

    Source: splitmix64 finaliser, Steele, Lea and Flood (2014), OOPSLA.
    """
    with np.errstate(over="ignore"):
        state = np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
        mixed: npt.NDArray[np.uint64] = np.asarray(state)
        for key in keys:
            mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + np.asarray(key).astype(np.int64).astype(np.uint64)
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed = mixed ^ (mixed >> np.uint64(31))
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) * (1.0 / (1 << 53)))
