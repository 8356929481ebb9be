"""The command line: `axiom COMMAND`."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> None:
    """Run the command line; our errors and the system's become one line and an exit status, Ctrl-C the status alone."""
    try:
        # In here, because Ctrl-C may come while the packages load.
        from axiom.cli import app
        from axiom.console import report_error
        from domain.errors import AxiomError, Unavailable
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        app()
    except SystemExit as ended:
        _leave(ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1)
    except AxiomError as error:
        report_error(error)
        _leave(2)
    except OSError as error:
        place = {} if error.filename is None else {"path": str(error.filename)}
        report_error(Unavailable(f"the system refused: {error.strerror or error}", **place))
        _leave(2)


def _leave(code: int) -> NoReturn:
    """End the process: at once where a FIX engine ran, because its own way out of Python crashes."""
    engine = sys.modules.get("fix.application")
    if engine is not None and engine.has_run():
        engine.leave(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
