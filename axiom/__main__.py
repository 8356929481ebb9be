"""The command line: `axiom COMMAND`."""

from __future__ import annotations

import sys

from axiom.cli import app
from axiom.console import report_error
from domain.errors import AxiomError


def main() -> None:
    """Run the command line; our own errors become one line and an exit status."""
    try:
        app()
    except AxiomError as error:
        report_error(error)
        sys.exit(2)


if __name__ == "__main__":
    main()
