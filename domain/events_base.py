"""What every event and command carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from domain.frames import Frame


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A message on a topic.

    Attributes:
        ts_event: When it happened at its origin (exchange, venue, timer), ns since the epoch, UTC.
        ts_init: When we first saw its cause, ns since the epoch. Stages copy it from their input; no digest has it.
        underlying: The key of its topic; empty for the whole firm.
    """

    ts_event: int
    ts_init: int
    underlying: str


class FrameEvent(Protocol):
    """An event whose payload is a frame.

    A protocol, because a mass quote that was cleared is a clearance and has a frame: msgspec allows one base of fields.
    """

    @property
    def frame(self) -> Frame:
        """The columns."""
        ...
