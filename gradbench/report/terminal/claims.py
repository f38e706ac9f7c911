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
# From this width on, a claim takes one line. A sentence that would lose all but these columns stays whole.
_ONE_LINE = 100
_LEAST_SENTENCE = 24


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

    Below 100 columns a claim may take several lines. A claim that was not measured is in the count alone.
    `verbose` shows every claim with its evidence.
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
    """The verdict, the claim and the deciding figure, in one line if the width allows it.

    A wide terminal has the sentence of the claim cut at a word, and the figure whole. A narrow one has both
    whole, the figure in the next lines.
    """
    figure, device = each.deciding, _device(each)
    room = width - _MARGIN - len(f"  {figure}".rstrip())
    if len(_claim(each)) <= room:
        return [f"{each.shown:<{_MARGIN}}{_claim(each)}  {figure}".rstrip()]
    if width >= _ONE_LINE and room - len(device) >= _LEAST_SENTENCE:
        cut = textwrap.shorten(each.claim.says, room - len(device), placeholder="…", break_on_hyphens=False)
        if len(cut) >= _LEAST_SENTENCE:
            return [f"{each.shown:<{_MARGIN}}{cut}{device}  {figure}".rstrip()]
    return _whole(each, width)


def _whole(each: Judgement, width: int) -> list[str]:
    """The verdict and the whole claim, and in the next lines the figure."""
    return [*_wrapped(_claim(each), width, f"{each.shown:<{_MARGIN}}"), *_wrapped(each.deciding, width)]


def _in_full(each: Judgement, width: int) -> list[str]:
    """The verdict with its figures, its tolerance and its source, a paragraph for each."""
    line = f"{each.shown:<{_MARGIN}}{_claim(each)}  {each.deciding}".rstrip()
    lines = [line] if len(line) <= width else _whole(each, width)
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
    return each.claim.says + _device(each)


def _device(each: Judgement) -> str:
    return f" On {each.device}." if each.device else ""


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
