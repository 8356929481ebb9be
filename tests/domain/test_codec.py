"""Every event survives the wire, and no damaged payload is taken for one."""

from __future__ import annotations

import datetime as dt
import io
import types
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import codec
from domain.codec import SCHEMAS, Encoded, canonical, content_type, decode, encode
from domain.errors import DataError, InputError, SchemaUnknown
from domain.events import ExposureChanged, NbboUpdated, OrderFilled, RunStarted
from domain.events_base import Event
from domain.frames import Frame, NbboFrame
from domain.instrument import OptionContract, parse_osi
from domain.price import NICKEL_DIME, PENNY, TickClass

GOLDEN = Path(__file__).parents[1] / "golden" / "events"

INTS = st.integers(-(2**62), 2**62)
TEXT = st.text(max_size=12)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def frames(kind: type[Frame]) -> st.SearchStrategy[Frame]:
    """Frames of zero to four rows with any bits in them."""

    def build(size: int, data: bytes) -> Frame:
        columns = {}
        for name, dtype in kind.dtypes.items():
            block = data[: size * dtype.itemsize].ljust(size * dtype.itemsize, b"\1")
            columns[name] = np.frombuffer(block, dtype)
        return kind(**columns)

    return st.builds(build, st.integers(0, 4), st.binary(min_size=0, max_size=32))


def values(kind: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401, PLR0911  # one line for each kind of field
    """Values of an annotated type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXT, values(arguments[1]), max_size=3)
    if origin is types.UnionType:
        return st.one_of([values(argument) for argument in arguments])
    simple: dict[Any, st.SearchStrategy[Any]] = {
        int: INTS,
        str: TEXT,
        bool: st.booleans(),
        float: FINITE,
        dt.date: st.dates(dt.date(1990, 1, 1), dt.date(2040, 12, 31)),
    }
    if kind in simple:
        return simple[kind]
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if issubclass(kind, Frame):
        return frames(kind)
    return structs(kind)


def structs(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Structs of a type; reference data that validate themselves come from the modules that own them."""
    if kind is OptionContract:
        return st.sampled_from([parse_osi("GOOG  151224C00750000"), parse_osi("SPXW  210104P03700500")])
    if kind is TickClass:
        return st.sampled_from([PENNY, NICKEL_DIME])
    return st.builds(kind, **{field.name: values(field.type) for field in msgspec.structs.fields(kind)})


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_decode_inverts_encode(name: str) -> None:
    @settings(max_examples=12)
    @given(structs(SCHEMAS[name].event))
    def check(event: Event) -> None:
        message = encode(event)
        assert (message.schema, message.version) == (name, SCHEMAS[name].version)
        assert decode(*message) == event

    check()


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_golden_samples_stay_readable(name: str) -> None:
    """One sample of each version is kept for ever; a new version adds a file, none is changed."""
    for version in range(1, SCHEMAS[name].version + 1):
        payload = (GOLDEN / f"{name}.v{version}").read_bytes()
        event = decode(name, version, payload)
        assert type(event).__name__ == name
        if version == SCHEMAS[name].version:
            assert decode(*encode(event)) == event


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_any_bytes_give_an_event_or_a_data_error(name: str) -> None:
    @settings(max_examples=15)
    @given(st.binary(max_size=64))
    def check(payload: bytes) -> None:
        with pytest.raises(DataError):
            decode(name, 1, payload)

    check()


def test_truncated_frame_is_a_data_error(nbbo: NbboUpdated) -> None:
    payload = encode(nbbo).payload
    for cut in range(0, len(payload) - 9, 37):
        with pytest.raises(DataError):
            decode("NbboUpdated", 1, payload[:cut])


def test_stock_arrow_reader_sees_the_columns(nbbo: NbboUpdated) -> None:
    with pa.ipc.open_stream(io.BytesIO(encode(nbbo).payload)) as reader:
        table = reader.read_all()
    assert table.column_names == list(NbboFrame.dtypes)
    assert table.column("bid").to_pylist() == [12_000, 0]
    assert content_type("NbboUpdated") == codec.ARROW_TYPE


def test_unknown_schema_and_newer_version_are_named() -> None:
    with pytest.raises(SchemaUnknown, match="Nonsense"):
        decode("Nonsense", 1, b"{}")
    with pytest.raises(SchemaUnknown, match="version=99"):
        decode("OrderFilled", 99, b"{}")


def test_non_finite_number_is_refused_by_name() -> None:
    event = ExposureChanged(
        ts_event=1, ts_init=1, underlying="X", spot=float("nan"), stock=0, delta=0.0, gamma=0.0, vega=0.0, theta=0.0,
        option_delta=0.0, cause="fill",
    )  # fmt: skip
    with pytest.raises(InputError, match="field='spot'"):
        encode(event)


def test_canonical_form_ignores_when_and_where_it_was_seen(nbbo: NbboUpdated) -> None:
    later = msgspec.structs.replace(nbbo, ts_init=nbbo.ts_init + 5)
    assert [bytes(part) for part in canonical(later)] == [bytes(part) for part in canonical(nbbo)]
    started = RunStarted(
        ts_event=1, ts_init=1, underlying="X", run="a", seed=1, source="s", is_synthetic=True, trade_date="2015-12-24",
        settings="{}",
    )  # fmt: skip
    assert canonical(msgspec.structs.replace(started, run="b")) == canonical(started)
    assert canonical(msgspec.structs.replace(started, seed=2)) != canonical(started)


def test_upcaster_carries_an_old_version_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Encoded("OrderFilled", 1, (GOLDEN / "OrderFilled.v1").read_bytes())
    schema = SCHEMAS["OrderFilled"]
    monkeypatch.setitem(SCHEMAS, "OrderFilled", schema._replace(version=2))
    monkeypatch.setitem(
        codec.UPCASTERS, ("OrderFilled", 1), lambda header, columns: ({**header, "intent": "upcast"}, columns)
    )
    event = decode(*old)
    assert isinstance(event, OrderFilled)
    assert event.intent == "upcast"


@pytest.fixture
def nbbo() -> NbboUpdated:
    """Two rows, one without a bid."""
    frame = NbboFrame(
        contract=np.array([0, 7]), bid=np.array([12_000, 0]), bid_size=np.array([10, 0]),
        ask=np.array([12_500, 500]), ask_size=np.array([3, 4]),
    )  # fmt: skip
    return NbboUpdated(ts_event=5, ts_init=6, underlying="GOOG", frame=frame)
