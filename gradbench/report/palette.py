"""The colours of everything that is shown, in light and in dark: of the style sheet, and of pictures."""

from __future__ import annotations

# On paper every colour of text and of lines stands out at least 4.5 to 1 (WCAG 2.2, 1.4.3), in both.
LIGHT = {
    "ink": "#1c2024", "faint": "#5d6671", "grid": "#dfe3e8", "paper": "#ffffff", "sheet": "#f6f7f9",
    "band": "#e4e8ee", "slower": "#b3370b", "faster": "#0b6b57", "same": "#5d6671", "link": "#0a58b5",
    "note": "#fff4db", "rule": "#d5dae0", "line0": "#b3370b", "line1": "#0a58b5", "line2": "#0b6b57",
    "line3": "#8a3ab0", "line4": "#8a6a00", "line5": "#5d6671",
}  # fmt: skip
DARK = {
    "ink": "#e8eaed", "faint": "#a3acb7", "grid": "#30363d", "paper": "#15181c", "sheet": "#1d2126",
    "band": "#2c333b", "slower": "#ff9466", "faster": "#5ed3b5", "same": "#a3acb7", "link": "#86b9ff",
    "note": "#3a3012", "rule": "#363d45", "line0": "#ff9466", "line1": "#86b9ff", "line2": "#5ed3b5",
    "line3": "#d9a3f5", "line4": "#e3c04d", "line5": "#a3acb7",
}  # fmt: skip
