"""Keeps a cache up to date from a stream that never waits for it.

`take` folds an event into memory and returns; a thread writes what changed, at most so often. Memory holds one value
for each kind and underlying, whatever the cache does: while it is away, newer values take the place of older ones, and
when it is back it gets the newest of all. Nothing that goes wrong there reaches the stream: it is counted and logged.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Self

from domain.codec import Encoded
from domain.errors import AxiomError, InputError
from domain.events_base import Event
from domain.frames import Frame
from domain.metrics import Metrics, NoMetrics
from store.cached import Cache, Cached, Kind, Written
from store.last_values import READ, LastValues, Make

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0

REFRESH_S: Final = 60.0

Say = Callable[[str, dict[str, object]], None]
"""Takes `noun.verb` and fields: a log."""


class CacheWriter:
    """Writes to a cache in a thread of its own, which `start` starts and `close` ends.

    Args:
        cache: Where.
        interval_s: Between two writes.
        metrics: Where counts go.
        say: Where outages are told, each once.
        refresh_s: Everything is written again at least so often.
    """

    def __init__(
        self,
        cache: Cache,
        interval_s: float,
        metrics: Metrics | None = None,
        say: Say = lambda _text, _fields: None,
        refresh_s: float = REFRESH_S,
    ) -> None:
        self._cache = cache
        self._interval_s = interval_s
        self._metrics = metrics or NoMetrics()
        self._say = say
        self._refresh_s = refresh_s
        self._refreshed = time.monotonic()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._values: dict[str, LastValues] = {}
        self._logs: dict[str, str] = {}
        self._unclaimed: dict[str, None] = {}
        self._changed: dict[tuple[str, Kind], None] = {}
        self._ousted: dict[str, None] = {}
        self._is_closing = False
        self._trouble = ""
        self._thread = threading.Thread(target=self._work, name="cache", daemon=True)
        self.written = Written()
        self.failures = 0

    def start(self) -> Self:
        """Begin to write."""
        self._thread.start()
        return self

    def follow(self, underlying: str, log: str) -> None:
        """From now on take an underlying from a log; what the cache has from another one goes at the next write."""
        with self._lock:
            if self._logs.get(underlying) == log:
                return
            self._logs[underlying] = log
            self._values[underlying] = LastValues(underlying)
            self._unclaimed[underlying] = None
            for key in [key for key in self._changed if key[0] == underlying]:
                del self._changed[key]

    def take(self, event: Event, sequence: int, encoded: Encoded | None = None) -> None:
        """Take in one event. It never waits for the cache.

        Args:
            event: Of an underlying that is followed; others are ignored.
            sequence: Its place in the log; see `LastValues.take`.
            encoded: As it travelled, where it did.
        """
        if type(event) not in READ:
            return
        with self._lock:
            values = self._values.get(event.underlying)
            if values is not None and (kind := values.take(event, sequence, encoded)) is not None:
                self._changed[event.underlying, kind] = None

    def resume(self, underlying: str, kind: Kind, frame: Frame, sequence: int, ts_event: int) -> None:
        """Go on from a value that is held elsewhere; see `LastValues.resume`."""
        with self._lock:
            self._values[underlying].resume(kind, frame, sequence, ts_event)

    @property
    def waiting(self) -> int:
        """Values that wait to be written."""
        return len(self._changed)

    @property
    def trouble(self) -> str:
        """What keeps it from writing; empty while nothing does."""
        return self._trouble

    def is_settled(self) -> bool:
        """Whether the cache has everything that was taken."""
        return not self._changed and not self._unclaimed

    def close(self, deadline_s: float = 2.0) -> bool:
        """Write what waits, within the deadline, and end the thread.

        Returns:
            Whether the cache has everything that was taken.
        """
        self._is_closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(deadline_s)
        return self.is_settled()

    def _work(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            try:
                self._write()
            except AxiomError as error:
                self._failed(error)
                if self._is_closing:
                    return
                self._wake.wait(pause)
                pause = min(2.0 * pause, _LONGEST_PAUSE_S)
                continue
            if self._trouble:
                self._trouble = ""
                self._refreshed = 0.0  # it may have lost everything
                self._say("cache.returned", {"failures": self.failures})
            pause = _FIRST_PAUSE_S
            if self._is_closing and self.is_settled():
                return
            self._wake.wait(self._interval_s)
            self._refresh()

    def _refresh(self) -> None:
        """Write everything again from time to time: it renews what seldom changes, and mends a cache that lost it."""
        if time.monotonic() - self._refreshed < self._refresh_s:
            return
        self._refreshed = time.monotonic()
        with self._lock:
            for underlying, values in self._values.items():
                self._changed |= dict.fromkeys((underlying, kind) for kind in values.kinds)

    def _write(self) -> None:
        with self._lock:
            unclaimed = {underlying: self._logs[underlying] for underlying in self._unclaimed}
        for underlying, log in unclaimed.items():
            self._cache.claim(underlying, log)
            with self._lock:
                if self._logs[underlying] == log:
                    self._unclaimed.pop(underlying, None)
        taken = self._taken()
        done = 0
        try:
            for underlying, log, kinds in taken:
                self._put(underlying, log, kinds)
                done += 1
        finally:
            self._put_back(taken[done:])

    def _taken(self) -> list[tuple[str, str, dict[Kind, Make]]]:
        """What changed, copied out, by underlying: it does not wait any more."""
        with self._lock:
            found: dict[str, dict[Kind, Make]] = {}
            for underlying, kind in list(self._changed):
                if underlying not in self._unclaimed:
                    del self._changed[underlying, kind]
                    found.setdefault(underlying, {})[kind] = self._values[underlying].copied(kind)
            return [(underlying, self._logs[underlying], kinds) for underlying, kinds in found.items()]

    def _put(self, underlying: str, log: str, kinds: dict[Kind, Make]) -> None:
        values: list[Cached] = []
        for kind, make in kinds.items():
            try:
                values.append(make())
            except InputError as error:  # it cannot be encoded, today or later
                self._metrics.count("cache.failures", label="value")
                self._say("cache.value_refused", {"underlying": underlying, "kind": kind, "error": str(error)})
        began = time.monotonic()
        written = self._cache.put(log, values)
        self._metrics.observe("cache.write.seconds", time.monotonic() - began)
        self.written += written
        for name, count in written._asdict().items():
            if count:
                self._metrics.count("cache.values", count, name)
        if written.foreign and underlying not in self._ousted:
            self._ousted[underlying] = None
            self._say("cache.ousted", {"underlying": underlying, "log": log, "by": self._cache.log_of(underlying)})
        elif written.taken:
            self._ousted.pop(underlying, None)

    def _put_back(self, taken: Sequence[tuple[str, str, dict[Kind, Make]]]) -> None:
        """What was not written changed still: the next write takes it as it is then."""
        with self._lock:
            for underlying, log, kinds in taken:
                if self._logs[underlying] == log:
                    self._changed |= {(underlying, kind): None for kind in kinds}

    def _failed(self, error: AxiomError) -> None:
        self.failures += 1
        self._metrics.count("cache.failures", label=type(error).__name__)
        if not self._trouble:
            self._say("cache.unavailable", {"error": str(error)})
        self._trouble = str(error)
