"""Settings of the risk stages."""

from __future__ import annotations

import msgspec

from domain.errors import InputError
from risk.limits import Limits


class RiskSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shapes the gate and the books.

    Attributes:
        limits: Limits of each underlying at the start of a run; commands change them.
        mark_every_s: Event time between two P&L marks, seconds.

    Raises:
        InputError: A value is out of range; the field is named.
    """

    limits: Limits = msgspec.field(default_factory=Limits)
    mark_every_s: int = 60

    def __post_init__(self) -> None:
        """Refuse an interval that never comes."""
        if self.mark_every_s < 1:
            raise InputError("interval must be at least a second", field="risk.mark_every_s", value=self.mark_every_s)
