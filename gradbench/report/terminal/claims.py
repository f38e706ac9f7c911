"""Verdicts for a terminal, and for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from gradbench.analyse.claims.case import Case
from gradbench.analyse.claims.claim import SHOWN, Judgement, counted

# The columns of the verdict, and of the heads in the full form.
_MARGIN = 11
_HEAD = 11


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


def as_text(judgements: Sequence[Judgement], width: int, verbose: bool = False) -> str:
    """A line for each claim in so many columns, and how many verdicts there are of each kind.

    A claim that was not measured is in the count alone. `verbose` shows every claim with its evidence.
    """
    shown = [each for each in judgements if verbose or each.verdict != "not measured"]
    lines = []
    for each in shown:
        lines += _in_full(each, width) if verbose else _in_short(each, width)
    lines += textwrap.wrap(counted(judgements, shown=True), width)
    missing = [each for each in judgements if each.verdict == "not measured"]
    if missing and not verbose:
        more = f"--verbose shows the run that would measure {'it' if len(missing) == 1 else 'them'}."
        lines += textwrap.wrap(f"{len(missing)} not measured: {more}", width)
    return "\n".join(lines)


def _in_short(each: Judgement, width: int) -> list[str]:
    """The verdict, the claim and the deciding figure: in one line, or the figure in the next lines."""
    says, figure = _claim(each), each.deciding
    line = f"{each.shown:<{_MARGIN}}{says}  {figure}".rstrip()
    if len(line) <= width:
        return [line]
    return [*_wrapped(says, width, f"{each.shown:<{_MARGIN}}"), *_wrapped(figure, width)]


def _in_full(each: Judgement, width: int) -> list[str]:
    """The verdict with its figures, its tolerance and its source, a paragraph for each."""
    lines = [*_in_short(each, width)]
    for head, text in (
        ("id", each.claim.id),
        ("source", each.claim.source),
        ("tolerance", each.claim.tolerance),
        ("it takes", each.takes),
        *(("" if place else "evidence", _case(case)) for place, case in enumerate(each.cases)),
    ):
        if text:
            lines += _wrapped(text, width, f"{'':<{_MARGIN}}{head + ':' if head else '':<{_HEAD}}")
    return [*lines, ""]


def _case(case: Case) -> str:
    mark, _ = SHOWN[{True: "supported", False: "refuted", None: "unresolved"}[case.holds]]
    return f"{mark} {case.says}"


def _claim(each: Judgement) -> str:
    return each.claim.says + (f" On {each.device}." if each.device else "")


def _wrapped(text: str, width: int, first: str = " " * _MARGIN) -> list[str]:
    """Lines of this width, the first behind `first` and the others in its column."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_on_hyphens=False,
        break_long_words=False,
    )
