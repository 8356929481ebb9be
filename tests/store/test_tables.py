"""The Parquet tables, opened as a user would."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from domain.errors import DataError, InputError
from store.day import Item, read_day
from store.ledger import PARTS
from store.record import RunFacts, RunRecord, record_of
from store.rows import INT, TEXT, Rows
from store.summary import summarize
from store.tables import write_tables

if TYPE_CHECKING:
    from tests.store.conftest import Tape


@pytest.fixture
def record(small_day: list[Item], venues: tuple[str, ...]) -> RunRecord:
    return record_of(read_day(small_day, venues), RunFacts(run="r1", tick_to_quote_us=(900.0, 1_200.0)))


def test_polars_opens_every_table_and_finds_what_the_run_did(tmp_path: Path, record: RunRecord) -> None:
    written = write_tables(tmp_path, record)
    tables = {path.stem: pl.read_parquet(path) for path in written}
    summary = summarize(record)
    assert tables["fills"].height == summary["fills"]
    assert tables["orders"].height == summary["orders"]
    assert tables["contracts"].height == summary["contracts"]
    assert set(tables["orders"]["state"]) == {"filled"}
    assert tables["refusals"]["count"].sum() == sum(sum(by.values()) for by in summary["rejects"].values())
    assert tables["pnl"].select(total=pl.sum_horizontal(PARTS))["total"].to_list() == pytest.approx(
        tables["pnl"]["total"].to_list()
    )
    assert tables["fills"].schema["ts"] == pl.Datetime("ns", "UTC")
    assert not list(tmp_path.glob("*.partial"))


def test_duckdb_joins_fills_with_contracts_and_positions(tmp_path: Path, record: RunRecord) -> None:
    write_tables(tmp_path, record)
    fills, positions, contracts = (str(tmp_path / f"{name}.parquet") for name in ("fills", "positions", "contracts"))
    with duckdb.connect() as database:
        wrong = database.execute(
            """
            with traded as (
                select contract, sum(case side when 'buy' then quantity else -quantity end) as net
                from read_parquet(?) where status <> 'busted' group by contract
            )
            select * from read_parquet(?) p left join traded t using (contract)
            where p.imported + coalesce(t.net, 0) + p.settled <> p.quantity
            """,
            [fills, positions],
        ).fetchall()
        unnamed = database.execute(
            """
            select count(*) from read_parquet(?) f anti join read_parquet(?) c
            on f.contract = c.contract and f.symbol = c.symbol where f.contract >= 0
            """,
            [fills, contracts],
        ).fetchone()
    assert wrong == []
    assert unnamed == (0,)


def test_every_table_says_what_a_row_is(tmp_path: Path, record: RunRecord) -> None:
    silent = [
        path.stem for path in write_tables(tmp_path, record) if b"axiom.about" not in pq.read_schema(path).metadata
    ]
    assert silent == []


def test_a_run_of_nothing_has_every_table_too(tmp_path: Path, tape: Tape) -> None:
    tape.begin()
    tape.end(60_000_000_000)
    written = write_tables(tmp_path, record_of(read_day(tape.items), RunFacts()))
    heights = {path.stem: pl.read_parquet(path).height for path in written}
    assert heights["fills"] == heights["pnl"] == 0
    assert heights["contracts"] == 2


def test_the_parts_of_quoting_time_agree(tmp_path: Path, record: RunRecord) -> None:
    write_tables(tmp_path, record)
    minutes, contracts = (
        pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("quote_minutes", "quote_contracts")
    )
    assert minutes["eligible_seconds"].sum() == pytest.approx(contracts["eligible_seconds"].sum(), rel=1e-6)
    assert minutes["quoted_seconds"].sum() == pytest.approx(contracts["quoted_seconds"].sum(), rel=1e-6)
    assert (contracts["share"] <= 1 + 1e-6).all()


def test_the_books_are_closed_once(record: RunRecord) -> None:
    with pytest.raises(DataError, match="closed already"):
        record_of(record.day, RunFacts())


def test_a_journal_without_a_chain_is_refused() -> None:
    with pytest.raises(DataError, match="no chain"):
        read_day([])


def test_a_row_of_the_wrong_shape_is_refused() -> None:
    rows = Rows("A pair.", {"name": TEXT, "count": INT})
    with pytest.raises(InputError, match="one value per column"):
        rows.add("x")
    with pytest.raises(InputError, match="columns differ"):
        rows.extend(1, name="x")
    with pytest.raises(InputError, match="length differs"):
        rows.extend(2, name="x", count=[1])
    assert len(rows) == 0
