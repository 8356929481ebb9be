"""The folder of a run: found by name, made once, never half written."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import pytest

from axiom.runs import CONFIG, RunConfig, RunFolder, write_atomically
from domain.errors import InputError


def config(run: str) -> RunConfig:
    return RunConfig(
        run=run, source="synthetic", path="", underlying="XYZ", trade_date="2015-12-24", speed=0.0, venues="direct",
        positions="", settings="{}",
    )  # fmt: skip


def test_folder_holds_what_the_run_was_asked_to_do(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", config("one"))
    assert folder.config() == config("one")
    assert folder.snapshots.is_dir()
    assert {path.parent for path in (folder.journal, folder.tables, folder.log, folder.summary, folder.report)} == {
        folder.path
    }


def test_run_is_made_once(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, config("one"))
    with pytest.raises(InputError, match=r"exists already.*value='one'"):
        RunFolder.create(tmp_path, config("one"))


def test_run_is_found_by_name_path_and_age(tmp_path: Path) -> None:
    made = {name: RunFolder.create(tmp_path, config(name)).path for name in ("b", "a", "c")}
    for age, name in enumerate(("c", "a", "b")):
        os.utime(made[name] / CONFIG, ns=(age, age))
    assert RunFolder.find(tmp_path, "a").path == made["a"]
    assert RunFolder.find(tmp_path / "elsewhere", str(made["c"])).path == made["c"]
    assert RunFolder.find(tmp_path, "last").path == made["b"]


def test_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run yet"):
        RunFolder.find(tmp_path, "last")
    (tmp_path / "empty").mkdir()
    for name in ("none", "empty"):
        with pytest.raises(InputError, match=f"no such run.*value='{name}'"):
            RunFolder.find(tmp_path, name)


@pytest.mark.parametrize("data", [b"", b"{", b'{"run": "one"}', b'{"run": 1}'])
def test_damaged_configuration_is_refused(tmp_path: Path, data: bytes) -> None:
    folder = RunFolder.create(tmp_path, config("one"))
    (folder.path / CONFIG).write_bytes(data)
    with pytest.raises(InputError, match="cannot be read"):
        folder.config()
    (folder.path / CONFIG).unlink()
    with pytest.raises(InputError, match="cannot be read"):
        folder.config()


def test_configuration_of_another_build_is_refused(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, config("one"))
    fields = msgspec.structs.asdict(config("one")) | {"sped": 1}
    (folder.path / CONFIG).write_bytes(msgspec.json.encode(fields))
    with pytest.raises(InputError, match="sped"):
        folder.config()


def test_newest_snapshot_at_or_before_an_input_is_the_best(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, config("one"))
    assert folder.best_snapshot(100) is None
    for sequence in (9, 20, 100):
        folder.save_snapshot(sequence, str(sequence).encode())
    assert folder.best_snapshot(8) is None
    assert folder.best_snapshot(9) == (9, b"9")
    assert folder.best_snapshot(99) == (20, b"20")
    assert folder.best_snapshot(1_000_000_000_000) == (100, b"100")


def test_oldest_snapshots_go(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, config("one"))
    for sequence in range(7):
        folder.save_snapshot(sequence, b"")
    assert [int(path.stem) for path in sorted(folder.snapshots.iterdir())] == [4, 5, 6]


def test_file_is_the_old_one_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails half way leaves the old file; a write that succeeds leaves nothing beside the new one."""
    path = tmp_path / "file.json"
    write_atomically(path, b"old")

    def full(_: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(len(data)))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_run_is_driven_by_one_process_at_a_time(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, config("one"))
    assert not folder.is_alive()
    with folder.claimed():
        assert RunFolder.find(tmp_path, "one").is_alive()
        with pytest.raises(InputError, match=r"another process drives the run.*value='one'"), folder.claimed():
            pass
        assert folder.is_alive()
    assert not folder.is_alive()
    with folder.claimed():
        assert folder.is_alive()


def test_claim_ends_with_its_process_however_it_dies(tmp_path: Path) -> None:
    """A number of a process would not tell: another process may have it by now."""
    folder = RunFolder.create(tmp_path, config("one"))
    child = os.fork()
    if not child:
        with folder.claimed():
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert not folder.is_alive()
    with folder.claimed():
        assert folder.is_alive()


@pytest.mark.parametrize("name", ["file", "file/below", "x" * 300])
def test_root_that_cannot_hold_runs_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be kept there \[field='runs'"):
        RunFolder.create(tmp_path / name, config("one"))
