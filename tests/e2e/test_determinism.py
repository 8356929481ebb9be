"""The same input and seed give the same digest: again, with another hash seed, after a kill anywhere, in a replay."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from axiom.control import NoControl
from axiom.finish import problems
from axiom.launch import resume
from axiom.runs import RunFolder
from streams.embedded import Outcome
from streams.journal import JournalReader, segments

if TYPE_CHECKING:
    from tests.e2e.conftest import Axiom

Finished = tuple["Axiom", dict[str, Any]]


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_another_process_and_hash_seed_give_the_same_digest(axiom: Axiom, finished: Finished, hash_seed: str) -> None:
    summary = axiom.json("run", "--id", "again", PYTHONHASHSEED=hash_seed)
    assert summary["digest"] == finished[1]["digest"]
    assert summary["problems"] == []


def test_another_seed_gives_another_digest(axiom: Axiom, finished: Finished) -> None:
    summary = axiom.json("run", "--id", "other", AXIOM_SET_RUN__SEED="2")
    assert summary["digest"] != finished[1]["digest"]


def test_replay_gives_the_digest_of_the_run(finished: Finished) -> None:
    command, summary = finished
    replayed = command.json("replay", "whole")
    assert replayed["equal"]
    assert replayed["digest"] == summary["digest"]


def test_diff_of_a_run_with_itself_and_with_another_seed(axiom: Axiom, finished: Finished) -> None:
    command, _ = finished
    assert command.json("diff", "whole", "whole")["equal"]
    axiom.json("run", "--id", "other", AXIOM_SET_RUN__SEED="2")
    other = axiom.runs / "other"
    found = command.json("diff", "whole", str(other), code=1)
    assert "RunStarted" in found["difference"]
    assert "seed 1 against 2" in found["difference"]


def test_a_journal_cut_anywhere_resumes_to_the_same_end(axiom: Axiom, finished: Finished) -> None:
    """What `kill -9` leaves is a journal cut at some byte: twenty random ones."""
    source = finished[0].runs / "whole"
    whole = b"".join(path.read_bytes() for path in segments(source / "journal"))
    first_record = next(iter(JournalReader(source / "journal"))).end
    draw = random.Random(20)  # places to cut
    for number in range(20):
        cut = draw.randrange(first_record, len(whole))
        launch = resume(RunFolder(_cut_copy(source, axiom.runs / f"cut-{number}", whole[:cut], draw)), NoControl())
        assert launch.go() is Outcome.FINISHED
        launch.close()
        assert launch.run.digest.hex() == finished[1]["digest"], f"cut at byte {cut} of {len(whole)}"
        assert problems(launch) == []


@pytest.mark.parametrize("share", [0.0, 1e-4, 1.0], ids=["no record", "half a record", "every record"])
def test_a_journal_cut_in_its_first_record_or_at_its_end_resumes_to_the_same_end(
    axiom: Axiom, finished: Finished, share: float
) -> None:
    """Killed before the first input was whole, the run begins anew; after the last, it only lacks its report."""
    source = finished[0].runs / "whole"
    whole = b"".join(path.read_bytes() for path in segments(source / "journal"))
    cut = int(share * len(whole))
    assert cut < next(iter(JournalReader(source / "journal"))).end or cut == len(whole)
    launch = resume(RunFolder(_cut_copy(source, axiom.runs / "cut", whole[:cut], random.Random(3))), NoControl())
    assert launch.go() is Outcome.FINISHED
    launch.close()
    assert launch.run.digest.hex() == finished[1]["digest"]
    assert problems(launch) == []


def test_kill_minus_nine_in_the_middle_resumes_to_the_same_end(axiom: Axiom, finished: Finished) -> None:
    size = sum(path.stat().st_size for path in segments(finished[0].runs / "whole" / "journal"))
    for number, share in enumerate((0.2, 0.7)):
        process = axiom.start("run", "--id", f"killed-{number}", "--json")
        journal = axiom.runs / f"killed-{number}" / "journal"
        while process.poll() is None and sum(path.stat().st_size for path in segments(journal)) < share * size:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        assert process.returncode == -signal.SIGKILL
        assert axiom.json("resume", f"killed-{number}")["digest"] == finished[1]["digest"]


def test_a_finished_run_is_not_resumed(finished: Finished) -> None:
    assert "nothing to resume" in finished[0].call("resume", "whole", code=2)


def test_a_run_that_was_interrupted_and_then_killed_after_its_end_is_finished_by_a_resume(
    axiom: Axiom, finished: Finished
) -> None:
    """The facts of the interrupt are not taken for those of the end."""
    source, draw = finished[0].runs / "whole", random.Random(1)
    whole = b"".join(path.read_bytes() for path in segments(source / "journal"))
    folder = RunFolder(_cut_copy(source, axiom.runs / "late", whole[: len(whole) // 2], draw))
    folder.facts.write_bytes((source / "facts.json").read_bytes())
    launch = resume(folder, NoControl())
    assert launch.go() is Outcome.FINISHED
    launch.close()
    assert axiom.json("resume", "late")["digest"] == finished[1]["digest"]


def _cut_copy(source: Path, target: Path, journal: bytes, draw: random.Random) -> Path:
    """A copy of a run whose journal ends early; about half keep the snapshots that existed by then."""
    (target / "journal").mkdir(parents=True)
    (target / "run.json").write_bytes((source / "run.json").read_bytes())
    (target / "journal" / "000000.journal").write_bytes(journal)
    if draw.random() < 0.5:
        (target / "snapshots").mkdir()
        for path in (source / "snapshots").glob("*.snapshot"):
            (target / "snapshots" / path.name).write_bytes(path.read_bytes())
    return target
