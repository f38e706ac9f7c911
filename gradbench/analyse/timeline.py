"""The memory of a training step, split at its backward."""

from __future__ import annotations

from dataclasses import dataclass

from gradbench.record.visits import Timeline


@dataclass(frozen=True)
class Split:
    """The memory of a training step, in bytes above its start; None where there is no such line.

    Attributes:
        forward: most live at once before the backward.
        kept: live when the backward begins.
        backward: most live at once in the backward.
        left: live at the end.
    """

    forward: int | None
    kept: int | None
    backward: int | None
    left: int


def split(timeline: Timeline) -> Split:
    """A timeline's bytes before, at and in its backward."""
    live = 0
    forward: list[int] = []
    kept = backward = None
    for stretch in timeline.stretches:
        if kept is None and ".backward(" in stretch.code:
            kept, backward = live, max(stretch.live, default=live)
        elif kept is None:
            forward.extend(stretch.live)
        live = stretch.live[-1] if stretch.live else live
    return Split(max(forward, default=None), kept, backward, live)
