"""The answer of a run on a terminal: the answer, how far to trust it, and the warnings a line each."""

from __future__ import annotations

import re
import textwrap

from gradbench import format
from gradbench.analyse.analysis import Analysis
from gradbench.analyse.answer import RunAnswer
from gradbench.analyse.warnings import beside_trust

# Lines in all, and warnings among them; the command adds lines for the report and for how to go on.
MOST = 17
WARNINGS = 3
# Findings of a run that has no answer.
FINDINGS = 4


def brief(analysis: Analysis, width: int) -> str:
    """The answer first, then trust, then warnings; lines of this width. Failures are not among them.

    Faults in the user's code come before all of it, in full.
    """
    lines: list[str] = []
    for each in analysis.results.file_faults:
        lines += _wrapped(f"Watch out: {each.words}", width)
    found = _answer(analysis.answer, width) if analysis.answer else _findings(analysis, width)
    return "\n".join([*lines, *found, *_warnings(analysis, width, MOST - len(found))])


def _answer(answer: RunAnswer, width: int) -> list[str]:
    """The sentence, a line for each recommendation, and how far to trust them."""
    lines = _wrapped(answer.sentence, width)
    purpose = max((len(each.purpose) for each in answer.recommendations), default=0) + 2
    for each in answer.recommendations:
        gain = f": {each.gain}" if each.gain else ""
        lines += _wrapped(f"{each.use}{gain}.", width, f"  {each.purpose + ':':<{purpose}}")
    trust = answer.trust
    # The command to go on is the last line of the output.
    advice = f" {trust.advice}" if trust.advice and "`" not in trust.advice else ""
    return [*lines, *_wrapped(f"Trust: {trust.grade}. {trust.sentence}{advice}", width)]


def _findings(analysis: Analysis, width: int) -> list[str]:
    """The first findings, and how many more the report has."""
    lines: list[str] = []
    for each in analysis.findings[:FINDINGS]:
        lines += _wrapped(each.sentence, width, "- ")
    more = len(analysis.findings) - FINDINGS
    return lines + ([f"{format.counted(more, 'more finding')} in the report."] if more > 0 else [])


def _warnings(analysis: Analysis, width: int, most: int) -> list[str]:
    """The first sentence of each warning where it fits in a line, and how many more the report has."""
    every = [each for each in analysis.warnings if each != analysis.failed]
    # The sentence on trust says the rest of them.
    shown = list(beside_trust(analysis)) if analysis.answer else every
    lines = [line for each in shown if len(line := f"Warning: {first_sentence(each)}") <= width][
        : max(0, min(WARNINGS, most - 1))
    ]
    more = len(every) - len(lines)
    if more:
        lines.append(f"{format.counted(more, 'more warning' if lines else 'warning')} in the report.")
    return lines


def first_sentence(text: str) -> str:
    """A text up to the first full stop before a new sentence.

    >>> first_sentence("The clock fell to 1.2 GHz. Let it cool.")
    'The clock fell to 1.2 GHz.'
    """
    return re.split(r"(?<=\.) (?=[A-Z`])", text, maxsplit=1)[0]


def _wrapped(text: str, width: int, first: str = "") -> list[str]:
    """Lines of this width, the first behind `first`, the others in its column."""
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
    )
