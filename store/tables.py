"""Parquet tables of a run, one file each, for polars, DuckDB and whoever comes next."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from store.record import RunRecord


def write_tables(folder: Path, record: RunRecord) -> list[Path]:
    """Write every table as `<folder>/<name>.parquet`, the empty ones too: a reader need not ask what is there.

    A file appears whole or not at all. What a row is stands in the schema's metadata under `axiom.about`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, rows in record.day.ledger.tables().items():
        path = folder / f"{name}.parquet"
        partial = path.with_suffix(".partial")
        pq.write_table(rows.table(), partial, compression="zstd")
        partial.replace(path)
        written.append(path)
    return written
