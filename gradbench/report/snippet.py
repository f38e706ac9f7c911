"""The code of a lane, as a reader can run it."""

from __future__ import annotations

from gradbench.plan import Comparison, Lane


def snippet(comparison: Comparison, lane: Lane) -> str:
    """A lane as a program that can be pasted and run."""
    return "\n".join(
        part
        for part in (
            # A file of the user's, whose __future__ imports must stand first, has it.
            *([] if "import torch" in comparison.prepare.split("\n") else ["import torch", ""]),
            comparison.prepare,
            lane.setup,
            "",
            *([] if lane.feed in ("", "pass") else ["# before each call, not timed", lane.feed, "# timed"]),
            lane.statement,
        )
        if part or part == ""
    )
