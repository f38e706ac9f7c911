"""What was found, in the lines that a terminal has room for: the page's own sentences, the first of them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from gradbench.analyse.analysis import Analysis

# Lines of all, and of the warnings among them.
MOST = 12
WARNINGS = 5


def brief(analysis: Analysis, width: int) -> str:
    """The first warnings and findings in lines of this width; what failed is not among them.

    What is wrong in a user's code comes first, in full.
    """
    faults = [f"Watch out: {each.words}" for each in analysis.results.file_faults]
    first, _ = _fitting(faults, width, len(faults) * MOST)
    warnings = [each for each in analysis.warnings if each != analysis.failed]
    lines, left_out = _fitting([f"Before you believe it: {each}" for each in warnings], width, WARNINGS)
    more, further = _fitting([each.sentence for each in analysis.findings], width, MOST - 1 - len(lines))
    lines += more
    if left_out + further:
        lines.append(f"{left_out + further} more in the report.")
    return "\n".join([*first, *lines])


def _fitting(sentences: Sequence[str], width: int, most: int) -> tuple[list[str], int]:
    """The first sentences, wrapped, that fit into so many lines; and how many did not."""
    lines: list[str] = []
    for place, each in enumerate(sentences):
        wrapped = textwrap.wrap(
            each, width, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
        )
        if len(lines) + len(wrapped) > most:
            return lines, len(sentences) - place
        lines += wrapped
    return lines, 0
