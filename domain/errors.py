"""Every error class of the house: one root, five families.

The message is a constant phrase; the data ride in fields and are appended to the text, so that a log can filter on
the phrase and a person still sees the values:

    raise InputError("strike must be positive", field="strike", value=-1.0)
    -> strike must be positive [field='strike' value=-1.0]
"""

from __future__ import annotations


class AxiomError(Exception):
    """The root. Never raised itself."""

    def __init__(self, message: str, /, **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields

    def __str__(self) -> str:
        if not self.fields:
            return self.message
        return f"{self.message} [{' '.join(f'{name}={value!r}' for name, value in self.fields.items())}]"


class InputError(AxiomError):
    """The caller is refused; the fields name what was wrong and its value."""


class UnknownContract(InputError):
    """An instrument that the chain does not list."""

    def __init__(self, **fields: object) -> None:
        super().__init__("unknown contract", **fields)


class SettingsError(InputError):
    """A settings file or variable is refused."""


class DataError(AxiomError):
    """A feed or file is damaged: counted, dead-lettered, the feed goes on."""


class SequenceGap(DataError):
    """Messages are missing between two that arrived."""

    def __init__(self, **fields: object) -> None:
        super().__init__("sequence gap", **fields)


class ClockWentBackwards(DataError):
    """An input is stamped before one that was already applied."""

    def __init__(self, **fields: object) -> None:
        super().__init__("clock went backwards", **fields)


class JournalCorrupt(DataError):
    """A journal record fails its checksum or breaks the hash chain before the torn tail."""

    def __init__(self, **fields: object) -> None:
        super().__init__("journal corrupt", **fields)


class SchemaUnknown(DataError):
    """A record names a schema or version that this build does not know."""

    def __init__(self, **fields: object) -> None:
        super().__init__("unknown schema", **fields)


class VenueError(AxiomError):
    """A venue refused or answered out of turn. It becomes an event; an unknown outcome is reconciled, never resent."""


class Unavailable(AxiomError):
    """Something outside is down: back off and retry; orders that add risk stop, cancels keep priority."""


class InvariantError(AxiomError):
    """Our own state contradicts itself: the shard halts, pulls its quotes and restarts from its snapshot."""


class ClearanceRefused(InvariantError):
    """A message reached the outlet without a clearance that the gate issued."""

    def __init__(self, **fields: object) -> None:
        super().__init__("clearance refused", **fields)


class ReplayDiverged(InvariantError):
    """A replayed input or output differs from the journaled one."""

    def __init__(self, **fields: object) -> None:
        super().__init__("replay diverged", **fields)
