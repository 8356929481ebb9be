"""How people reach a running system: one line of JSON over a local socket, answered with what came of it.

The socket lies in a private folder of the user; its path is in `control.json` of the run.
"""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import socket
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from domain import commands as c
from domain.codec import encode
from domain.errors import InputError, Unavailable
from domain.events import CommandApplied, CommandRefused
from domain.events_base import Event

ADDRESS_FILE: Final = "control.json"
_TIMEOUT_S: Final = 10.0
_MAX_LINE: Final = 65_536
_MAX_TEXT: Final = 1_000
"""Characters of a reason or a user's name: they are for people to read, in every table of commands."""

COMMANDS: Final[dict[str, type[c.OperatorCommand]]] = {
    "kill": c.EngageKillSwitch,
    "release": c.ReleaseKillSwitch,
    "pause": c.PauseQuoting,
    "resume": c.ResumeQuoting,
    "flatten": c.Flatten,
    "reset": c.ResetProtection,
    "limits": c.ChangeLimits,
}


def parse_command(request: dict[str, Any]) -> c.OperatorCommand:
    """A command from its request: `command`, `underlying` (empty: the firm), `user`, `reason`, and `limits` for limits.

    Raises:
        InputError: The command is unknown, or a field is missing or of the wrong type.
    """
    name = request.get("command")
    kind = COMMANDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InputError("unknown command", field="command", value=name, known=", ".join(COMMANDS))
    fields = {key: value for key, value in request.items() if key != "command"}
    for field in ("user", "reason"):
        if not fields.get(field):
            raise InputError("an operator's command needs a user and a reason", field=field, value=fields.get(field))
        if len(str(fields[field])) > _MAX_TEXT:
            raise InputError(f"at most {_MAX_TEXT} characters", field=field, value=f"{str(fields[field])[:20]}…")
    unknown = sorted(set(fields) - set(kind.__struct_fields__))
    if unknown:
        raise InputError("unknown field", field=unknown[0], value=fields[unknown[0]])
    try:
        return msgspec.convert({"ts_event": 0, "ts_init": 0, "underlying": "", **fields}, kind)
    except msgspec.ValidationError as error:
        raise InputError("bad command", field=name, value=str(error)) from error


class ControlServer:
    """Listens for commands in a thread; the run takes them with `poll` between two inputs."""

    def __init__(self, run_folder: Path) -> None:
        self.should_stop = False
        self._commands: queue.SimpleQueue[tuple[c.OperatorCommand, queue.SimpleQueue[dict[str, Any]]]] = (
            queue.SimpleQueue()
        )
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="axiom-"))
        self._address_file = run_folder / ADDRESS_FILE
        path = self._folder / "control"
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        self._server.listen(4)
        self._address_file.write_text(json.dumps({"socket": str(path)}))
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def submit(self, command: c.OperatorCommand) -> None:
        """Queue a command of this process; nobody waits for its answer."""
        self._commands.put((command, queue.SimpleQueue()))

    def poll(self) -> Sequence[c.OperatorCommand]:
        """Commands that arrived since the last call."""
        if self._commands.empty():
            return ()
        command, reply = self._commands.get_nowait()
        self._waiting[id(command)] = reply
        return (command,)

    def answer(self, command: c.OperatorCommand, outputs: Sequence[Event]) -> None:
        """Tell the caller what came of a command."""
        reply = self._waiting.pop(id(command), None)
        if reply is None:
            return
        refused = [output for output in outputs if isinstance(output, CommandRefused)]
        applied = [output for output in outputs if isinstance(output, CommandApplied)]
        result: dict[str, Any] = {"applied": bool(applied) and not refused, "outcome": {}, "events": len(outputs)}
        if refused or applied:
            result["outcome"] = json.loads(encode((refused or applied)[0]).payload)
        else:
            nobody = InputError("nothing here takes that", field="underlying", value=command.underlying)
            result["error"] = str(nobody)
        if refused:
            result["error"] = refused[0].reason
        reply.put(result)

    def close(self) -> None:
        """Stop listening and remove the address."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        self._server.close()
        self._address_file.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), name="control-call", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(_TIMEOUT_S)
            line = connection.makefile("rb").readline(_MAX_LINE)
            try:
                command = parse_command(msgspec.json.decode(line, type=dict[str, Any]))
                reply: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
                self._commands.put((command, reply))
                result = reply.get(timeout=_TIMEOUT_S)
            except (InputError, msgspec.MsgspecError) as error:
                result = {"applied": False, "error": str(error)}
            except queue.Empty:
                result = {"applied": False, "error": "the run did not answer in time; it may yet apply the command"}
            connection.sendall(json.dumps(result).encode() + b"\n")


def send_command(run_folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send a command to the run of a folder and wait for its answer.

    Raises:
        InputError: The command is unknown, or a field is missing or wrong.
        Unavailable: The run is not running, or does not answer.
    """
    parse_command(request)  # the server will, too: but it need not be asked what is wrong here already
    address = run_folder / ADDRESS_FILE
    if not address.exists():
        raise Unavailable("the run is not running", run=run_folder.name)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_TIMEOUT_S)
            client.connect(json.loads(address.read_text())["socket"])
            client.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(client.makefile("rb").readline(_MAX_LINE))
            return answer
    except (ConnectionRefusedError, FileNotFoundError) as error:  # it was killed
        raise Unavailable("the run is not running", run=run_folder.name) from error
    except (OSError, ValueError, KeyError) as error:
        raise Unavailable("the run does not answer", run=run_folder.name, error=str(error)) from error


class NoControl:
    """Nobody acts: replays, tests and benchmarks."""

    should_stop = False

    def poll(self) -> Sequence[c.OperatorCommand]:
        """Nothing."""
        return ()

    def answer(self, command: c.OperatorCommand, outputs: Sequence[Event]) -> None:
        """Nobody waits."""
