"""Start-of-day positions come in, are reconciled with a statement, and are still there at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Axiom


def test_a_statement_that_agrees_is_silent_and_one_that_differs_is_a_problem(
    axiom: Axiom, finished: tuple[Axiom, dict[str, Any]], tmp_path: Path
) -> None:
    ours, agrees, differs = (tmp_path / name for name in ("ours.csv", "agrees.csv", "differs.csv"))
    text = "symbol,quantity\nCASH,1000\nSYN,-300\n"
    ours.write_text(text)
    agrees.write_text(text)
    differs.write_text("symbol,quantity\nCASH,1000\nSYN,-200\n")
    good = axiom.json("run", "--id", "good", "--positions", str(ours), "--statement", str(agrees))
    assert good["reconciliation_differences"] == 0
    assert good["problems"] == []
    bad = axiom.json("run", "--id", "bad", "--positions", str(ours), "--statement", str(differs), code=1)
    assert bad["reconciliation_differences"] == 1
    assert "1 positions differ from the statement" in bad["problems"]
    assert bad["positions"].get("SYN") != finished[1]["positions"].get("SYN")
