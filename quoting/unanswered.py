"""Venues that leave a message of ours without an answer: nobody knows what stands there.

What stands at a silent venue is cancelled (a cancel is never blocked), and nothing is quoted there until the venue has
confirmed that. While the confirmation does not come either, the cancel is repeated after a pause that doubles each
time: a cancel may be repeated, a quote may not. A late answer to an earlier message changes nothing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

_MOST_DOUBLINGS: Final = 4
"""The longest pause is 16 times the first: 80 s of 5."""


class Silence:
    """Which venues are silent, and how often each was purged since its last answer.

    Attributes:
        is_silent: By row of the venue, bool, (venues,).
    """

    def __init__(self, venues: int) -> None:
        self.is_silent: npt.NDArray[np.bool_] = np.zeros(venues, dtype=np.bool_)
        self._purges = [0] * venues

    def wait(self, row: int, first_ns: int) -> int:
        """How long an answer of a venue is waited for now, ns: `first_ns` until a purge goes without one."""
        return first_ns << min(max(self._purges[row] - 1, 0), _MOST_DOUBLINGS)

    def fall(self, row: int) -> None:
        """A venue did not answer in time, for the first time or again."""
        self.is_silent[row] = True
        self._purges[row] += 1

    def lift(self, row: int) -> bool:
        """A venue has confirmed that nothing stands there, or is down. Returns whether it was silent."""
        was_silent = bool(self.is_silent[row])
        self.is_silent[row] = False
        self._purges[row] = 0
        return was_silent

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        return {"is_silent": self.is_silent, "purges": self._purges}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.is_silent, self._purges = state["is_silent"], list(state["purges"])
