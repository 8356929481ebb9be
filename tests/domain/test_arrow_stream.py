"""Laws of the Arrow writer: it writes what the stock writer writes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import frames
from domain.arrow_stream import schema_of, write_stream
from domain.frames import Frame

FRAMES = [kind for kind in vars(frames).values() if isinstance(kind, type) and issubclass(kind, Frame) and kind.dtypes]


def filled(kind: type[Frame], rows: int, seed: int) -> Frame:
    """A frame of random bits, NaN and infinities among them."""
    rng = np.random.default_rng(seed)
    return kind(**{name: np.frombuffer(rng.bytes(rows * dtype.itemsize), dtype) for name, dtype in kind.dtypes.items()})


@pytest.mark.parametrize("kind", FRAMES, ids=lambda kind: kind.__name__)
@given(rows=st.integers(0, 200), seed=st.integers(0, 2**32 - 1), note=st.binary(max_size=40))
def test_bytes_are_those_of_the_stock_writer(kind: type[Frame], rows: int, seed: int, note: bytes) -> None:
    frame, schema = filled(kind, rows, seed), schema_of(kind).with_metadata({b"note": note})
    batch = pa.RecordBatch.from_arrays([pa.array(values) for values in frame.columns().values()], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(batch)
    assert write_stream(frame, b"note", note) == sink.getvalue().to_pybytes()


def test_a_slice_of_a_frame_is_written_as_its_copy() -> None:
    whole = filled(frames.QuoteFrame, 40, 1)
    parts = whole.take(slice(7, 30)), whole.take(np.arange(7, 30))
    first, second = (write_stream(part, b"note", b"1") for part in parts)
    assert first == second


def test_what_is_kept_of_one_stream_is_not_taken_for_another() -> None:
    """Schemas differ in their note, heads of batches in the number of rows, both in the type of frame."""
    for kind in (frames.QuoteFrame, frames.NbboFrame):
        for rows in (3, 4):
            for note in (b"1", b"2"):
                with pa.ipc.open_stream(write_stream(filled(kind, rows, 1), b"note", note)) as reader:
                    table = reader.read_all()
                assert (table.schema.metadata, len(table)) == ({b"note": note}, rows)
                assert table.column_names == list(kind.dtypes)
