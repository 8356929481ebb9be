"""Settings: one TOML file and the environment, frozen, unknown keys refused by name.

Each package defines its own settings beside the code that they configure; here they are only read and put together.
An environment variable names its place: `AXIOM_SET_QUOTING__SIZE=5` is `[quoting] size = 5`. Sections and keys may be
in any case; names that a user chooses are taken as they are written: `AXIOM_SET_MISBEHAVIOUR__SIMA__DROP_RATE=0.1`.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import msgspec

from domain.commands import Capacity, Party
from domain.errors import InputError, SettingsError
from hedging.settings import HedgerSettings
from pricing.fitter import FitterSettings
from pricing.repricer import RepricerSettings
from quoting.obligations import ObligationSettings
from quoting.settings import QuotingSettings
from risk.limits import Limits
from routing.exchange import ExchangeSettings
from routing.misbehaviour import Misbehaviour
from routing.order_state import OrderBookSettings
from routing.router import RouterSettings
from store.cache_settings import CacheSettings
from streams.massive_files import MassiveFileSettings
from streams.synthetic_settings import SyntheticSettings

CONNECTIONS: Final = ("cache",)
"""Sections that say where things are, not how we behave."""

ENV_PREFIX: Final = "AXIOM_SET_"
_UNKNOWN: Final = re.compile(r"unknown field `(?P<name>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_REFUSED: Final = re.compile(r"(?P<why>.*) - at `\$\.?(?P<path>[^`]*)`$")


class PartySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who we are on every outbound message."""

    account: str = "AXIOM01"
    capacity: Capacity = "market_maker"
    clearing_firm: str = "000"
    market_maker_id: str = "AXM"

    def party(self) -> Party:
        """As it rides on messages."""
        return Party(
            account=self.account,
            capacity=self.capacity,
            clearing_firm=self.clearing_firm,
            market_maker_id=self.market_maker_id,
        )


class RunSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The run itself.

    Attributes:
        seed: Seeds every random number of the run.
        max_entries: Quote entries in one mass quote message at most.
        snapshot_minutes: Event time between two snapshots; 0 takes none.
        segment_mib: Size of a journal segment.
        fsync: Whether every journal record waits for the disk: survives a power cut, costs milliseconds.
    """

    seed: int = 1
    max_entries: int = 1_000
    snapshot_minutes: int = 30
    segment_mib: int = 64
    fsync: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        for name, low in (("max_entries", 1), ("snapshot_minutes", 0), ("segment_mib", 1), ("seed", 0)):
            if getattr(self, name) < low:
                raise InputError(f"must be at least {low}", field=f"run.{name}", value=getattr(self, name))


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All sections. What shapes behaviour rides in RunStarted, so that a journal replays without the file.

    `cache` shapes none and does not ride there: a run is the same whoever sees its last values.
    """

    run: RunSettings = msgspec.field(default_factory=RunSettings)
    party: PartySettings = msgspec.field(default_factory=PartySettings)
    fitter: FitterSettings = msgspec.field(default_factory=FitterSettings)
    repricer: RepricerSettings = msgspec.field(default_factory=RepricerSettings)
    quoting: QuotingSettings = msgspec.field(default_factory=QuotingSettings)
    obligations: ObligationSettings = msgspec.field(default_factory=ObligationSettings)
    limits: Limits = msgspec.field(default_factory=Limits)
    hedging: HedgerSettings = msgspec.field(default_factory=HedgerSettings)
    router: RouterSettings = msgspec.field(default_factory=RouterSettings)
    orders: OrderBookSettings = msgspec.field(default_factory=OrderBookSettings)
    exchange: ExchangeSettings = msgspec.field(default_factory=ExchangeSettings)
    synthetic: SyntheticSettings = msgspec.field(default_factory=SyntheticSettings)
    massive: MassiveFileSettings = msgspec.field(default_factory=MassiveFileSettings)
    misbehaviour: dict[str, Misbehaviour] = msgspec.field(default_factory=dict)
    cache: CacheSettings = msgspec.field(default_factory=CacheSettings)

    def __post_init__(self) -> None:
        """Refuse sections that contradict each other: quotes may not rest on prices that the gate calls stale."""
        if self.quoting.stale_s * 1_000 > self.limits.stale_ms:
            raise InputError(
                "quotes would rest longer than limits.stale_ms allows: lower stale_intervals or feed_interval_s",
                field="quoting.stale_intervals",
                value=self.quoting.stale_intervals,
                stale_s=self.quoting.stale_s,
                stale_ms=self.limits.stale_ms,
            )

    def to_json(self) -> str:
        """As RunStarted carries it: without the connections."""
        return msgspec.json.encode(
            {n: getattr(self, n) for n in self.__struct_fields__ if n not in CONNECTIONS}
        ).decode()


def from_json(text: str) -> Settings:
    """Settings of a journaled run.

    Raises:
        SettingsError: They are not of this build.
    """
    try:
        tree = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SettingsError("settings are not JSON", field="settings", value=text[:80], error=str(error)) from error
    return _convert(tree)


def load(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read settings.

    Args:
        path: TOML file, or None for the defaults.
        environment: Variables; those that start with `AXIOM_SET_` override the file.

    Raises:
        SettingsError: The file cannot be read, a key is unknown, or a value is refused: the key and value are named.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError("settings cannot be read", field="path", value=str(path), error=str(error)) from error
        except tomllib.TOMLDecodeError as error:
            raise SettingsError("settings are not TOML", field="path", value=str(path), error=str(error)) from error
    for name in sorted(environment):
        if name.startswith(ENV_PREFIX):
            _place(tree, _keys(name.removeprefix(ENV_PREFIX).split("__")), environment[name])
    return _convert(tree)


def _keys(parts: list[str]) -> list[str]:
    """The keys that an environment variable names: in lower case, but for the keys of a table that a user fills."""
    kind: Any = Settings
    keys: list[str] = []
    for part in parts:
        keys.append(part if get_origin(kind) is dict else part.lower())
        kind = _kind_of(kind, keys[-1])
    return keys


def _kind_of(kind: Any, key: str) -> Any:  # noqa: ANN401  # annotations are of any form
    """The annotated type of what stands at a key of a struct or a table; None where nothing may."""
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return next((field.type for field in msgspec.structs.fields(kind) if field.name == key), None)
    return None


def _place(tree: dict[str, Any], keys: list[str], text: str) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise SettingsError("settings: not a section", field=".".join(keys), value=text)
    tree[keys[-1]] = text


def _convert(tree: Any) -> Settings:  # noqa: ANN401  # what a TOML or JSON file may hold
    try:
        return msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        found = _UNKNOWN.search(str(error))
        if found:
            key = ".".join(part for part in (_named(tree, found["path"] or ""), found["name"]) if part)
            # Its value is not told: it may be a secret in the wrong place.
            raise SettingsError(f"settings: unknown key '{key}'", field=key, value=None) from error
        refused = _REFUSED.match(str(error))
        key = _named(tree, refused["path"]) if refused else ""
        raise SettingsError(f"settings: {error}", field=key or "settings", value=_at(tree, key)) from error
    except InputError as error:
        # A settings class does not know under which section it stands: its own name for the field ends in the key.
        field = str(error.fields.get("field", ""))
        section = _refused_section(Settings, tree)
        key = ".".join((*section, field.rpartition(".")[2])) if section else field
        raise SettingsError(f"settings: {error.message}", field=key, value=error.fields.get("value")) from error


def _named(tree: Any, path: str) -> str:  # noqa: ANN401  # as above
    """A path of msgspec with the name of the table's entry, which it leaves out: `misbehaviour[...].drop_rate`."""
    _, bracket, rest = path.rpartition("]")
    return ".".join(_refused_section(Settings, tree)) + rest if bracket else path


def _refused_section(kind: Any, tree: Any) -> tuple[str, ...]:  # noqa: ANN401  # as above
    """The innermost section or table entry that is refused on its own; empty where only the whole is."""
    for name, inner, value in _sections(kind, tree):
        try:
            msgspec.convert(value, inner, strict=False)
        except (msgspec.ValidationError, InputError):
            return (name, *_refused_section(inner, value))
    return ()


def _sections(kind: Any, tree: Any) -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401  # as above
    """The sections of a struct, or the entries of a table, that the file holds: name, annotated type and content."""
    if not isinstance(tree, dict):
        return
    for name, value in tree.items():
        inner = _kind_of(kind, name)
        is_section = get_origin(inner) is dict or (isinstance(inner, type) and issubclass(inner, msgspec.Struct))
        if inner is not None and (is_section or get_origin(kind) is dict):
            yield name, inner, value


def _at(tree: Any, key: str) -> Any:  # noqa: ANN401  # what a TOML or JSON file may hold
    """What stands at a dotted key; None where nothing does."""
    return functools.reduce(lambda node, part: node.get(part) if isinstance(node, dict) else None, key.split("."), tree)
