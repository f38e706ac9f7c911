"""The colours of the style sheet and of pictures, in light and in dark, and how charts draw a variant."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

# On paper every colour of text and of lines stands out at least 4.5 to 1 (WCAG 2.2, 1.4.3), in both.
# A search chose the colours of lines: they also differ for readers who are blind to red, green or blue.
LIGHT = {
    "ink": "#1c2024", "faint": "#5d6671", "grid": "#dfe3e8", "paper": "#ffffff", "sheet": "#f6f7f9",
    "band": "#e4e8ee", "slower": "#b3370b", "faster": "#0b6b57", "same": "#5d6671", "link": "#0a58b5",
    "note": "#fff4db", "rule": "#d5dae0", "line0": "#d53e0b", "line1": "#002bcb", "line2": "#1e7f4e",
    "line3": "#ac1aa7", "line4": "#472d05", "line5": "#6d7280",
}  # fmt: skip
DARK = {
    "ink": "#e8eaed", "faint": "#a3acb7", "grid": "#30363d", "paper": "#15181c", "sheet": "#1d2126",
    "band": "#2c333b", "slower": "#ff9466", "faster": "#5ed3b5", "same": "#a3acb7", "link": "#86b9ff",
    "note": "#3a3012", "rule": "#363d45", "line0": "#ed5037", "line1": "#8db4f5", "line2": "#3df59a",
    "line3": "#bb4ff5", "line4": "#eac523", "line5": "#7e878c",
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """How a chart draws one variant. Two methods differ in their marker, and in colour and dash together.

    Attributes:
        colour: its name in LIGHT and DARK.
        dash: lengths on and off, in widths of the line; empty for a solid line.
        marker: of its points, by matplotlib's name.
    """

    colour: str
    dash: tuple[float, ...]
    marker: str


SOLID: tuple[float, ...] = ()
# The same method looks the same in every chart.
LOOKS = {
    "tracked": Look("line0", SOLID, "s"),
    "detach": Look("line1", (5.0, 2.0), "D"),
    "no_grad": Look("line2", (2.0, 1.2), "o"),
    "inference_mode": Look("line3", (6.0, 1.5, 1.5, 1.5), "^"),
    "set_grad_enabled_false": Look("line4", (1.0, 1.5), "v"),
    "detach_clone": Look("line5", (9.0, 2.5), "X"),
    "requires_grad_false": Look("ink", (3.5, 1.0, 1.0, 1.0, 1.0, 1.0), "P"),
    "detach_after": Look("line0", (5.0, 2.0), "<"),
    "data": Look("line1", (1.0, 1.5), ">"),
    "no_grad_decorator": Look("line4", (9.0, 2.5), "p"),
    "no_grad_prebuilt": Look("line3", (2.0, 1.2), "h"),
}


def looks(names: Iterable[str]) -> dict[str, Look]:
    """The look of each variant in one chart.

    A method has the look that LOOKS gives it. Other names take what is left of LOOKS, in their order.
    """
    wanted = list(dict.fromkeys(names))
    left = [look for name, look in LOOKS.items() if name not in wanted]
    rest = itertools.cycle(left or LOOKS.values())
    return {name: LOOKS.get(name) or next(rest) for name in wanted}
