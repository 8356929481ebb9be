"""The command line: `axiom COMMAND`."""

from __future__ import annotations

import sys


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
    except AxiomError as error:
        report_error(error)
        sys.exit(2)
    except OSError as error:
        place = {} if error.filename is None else {"path": str(error.filename)}
        report_error(Unavailable(f"the system refused: {error.strerror or error}", **place))
        sys.exit(2)


if __name__ == "__main__":
    main()
