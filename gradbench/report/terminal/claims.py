"""Verdicts for a terminal, and for programs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from gradbench.analyse.claims.claim import Judgement, counted


def as_data(judgements: Sequence[Judgement]) -> list[dict[str, Any]]:
    """The verdicts as plain data: a row for each claim, with its cases."""
    return [
        {
            "id": each.claim.id,
            "claim": each.claim.says,
            "source": each.claim.source,
            "verdict": each.verdict,
            **({"device": each.device} if each.device else {}),
            "evidence": each.evidence,
            "tolerance": each.claim.tolerance,
            "takes": each.takes,
            "cases": [
                {"where": case.where, "holds": case.holds, "says": case.says, "passes": case.passes}
                for case in each.cases
            ],
        }
        for each in judgements
    ]


def as_text(judgements: Sequence[Judgement], width: int) -> str:
    """The verdicts in a table of this many columns, and how many there are of each."""
    from rich.console import Console
    from rich.table import Table

    text = io.StringIO()
    console = Console(file=text, width=width, highlight=False, markup=False)
    table = Table("verdict", "claim", "evidence", show_lines=True)
    for each in judgements:
        parts = (each.evidence, f"It takes {each.takes}" if each.takes else "")
        evidence = " ".join(f"{part}." for part in parts if part)
        claim = f"{each.claim.says}\n{each.claim.id}" + (f" on {each.device}" if each.device else "")
        table.add_row(each.verdict, claim, evidence)
    console.print(table)
    console.print(counted(judgements))
    return text.getvalue().rstrip()
