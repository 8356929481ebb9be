"""Answers about orders and quotes are lost: the day goes on, ends at the venues' books, and repeats bit for bit."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from axiom.compose import SHARD, Composer
from axiom.control import NoControl
from axiom.finish import problems
from axiom.launch import resume
from axiom.runs import RunFolder
from domain import events as e
from streams.embedded import Outcome
from streams.journal import JournalReader, segments
from streams.replay import Replay, grouped
from streams.shard import Shard
from tests.e2e.conftest import Ran, launch_of

if TYPE_CHECKING:
    from typing import Any

LOSSY: dict[str, Any] = {
    "misbehaviour": {
        "SIMS": {"drop_rate": 0.3, "wrong_quantity_rate": 0.1, "wrong_price_rate": 0.1},
        "SIMA": {"drop_ack_rate": 0.3},
    },
    "synthetic": {"session_minutes": 2},
    "run": {"snapshot_minutes": 1},
}


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Two minutes with a stock venue that loses and lies, and an options venue that loses acknowledgements."""
    return Ran(launch_of(tmp_path_factory.mktemp("lossy"), LOSSY))


def test_the_day_ends_at_the_venues_books_with_every_doubt_settled(lossy: Ran) -> None:
    assert lossy.outcome is Outcome.FINISHED
    assert lossy.problems == []
    told = lossy.summary["reconciliation"]
    assert told["doubts"] > 0
    assert told["corrections"] > 0
    assert (told["unsettled"], told["unbooked"], told["disputed_venues"]) == (0, 0, 0)
    assert lossy.launch.outlet.refused == 0
    assert lossy.summary["crossed_own_quotes"] == 0


def test_every_question_left_through_the_gate_and_none_twice(lossy: Ran) -> None:
    asked = [cleared.request.status_id for cleared in lossy.events(e.OrderStatusCleared)]
    assert len(asked) == len(set(asked)) > 0


def test_a_replay_gives_the_same_digest(lossy: Ran) -> None:
    replayed = Replay(Shard(SHARD, Composer().stages)).run(grouped(JournalReader(lossy.launch.folder.journal)))
    assert replayed.is_equal, replayed.difference
    assert replayed.digest == lossy.launch.run.digest.hex()


def test_another_run_gives_the_same_digest(lossy: Ran, tmp_path: Path) -> None:
    assert Ran(launch_of(tmp_path, LOSSY)).launch.run.digest.hex() == lossy.launch.run.digest.hex()


def test_a_journal_cut_anywhere_resumes_to_the_same_end(lossy: Ran, tmp_path: Path) -> None:
    """From a snapshot of a moment with open questions too: what was asked is not forgotten and not asked twice."""
    source = lossy.launch.folder.path
    whole = b"".join(path.read_bytes() for path in segments(source / "journal"))
    first_record = next(iter(JournalReader(source / "journal"))).end
    draw = random.Random(3)  # places to cut
    for number in range(4):
        cut = draw.randrange(max(first_record, len(whole) // 2), len(whole))
        target = tmp_path / f"cut-{number}"
        (target / "journal").mkdir(parents=True)
        (target / "run.json").write_bytes((source / "run.json").read_bytes())
        (target / "journal" / "000000.journal").write_bytes(whole[:cut])
        if number % 2:
            (target / "snapshots").mkdir()
            for path in (source / "snapshots").glob("*.snapshot"):
                (target / "snapshots" / path.name).write_bytes(path.read_bytes())
        launch = resume(RunFolder(target), NoControl())
        assert launch.go() is Outcome.FINISHED
        launch.close()
        assert launch.run.digest.hex() == lossy.launch.run.digest.hex(), f"cut at byte {cut} of {len(whole)}"
        assert problems(launch) == []
