"""The presets of the page: topics that a reader can choose with one click."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """A choice of topics: the page shows the claims and sections of these topics.

    Attributes:
        id: in the address of the page.
        label: on its button.
        topics: of claims and sections; empty for all topics.
    """

    id: str
    label: str
    topics: tuple[str, ...]


PRESETS = (
    Preset("evaluate", "Evaluate", ("evaluate", "memory")),
    Preset("fine-tune", "Fine-tune", ("fine-tune", "write")),
    Preset("functions", "Write Functions", ("functions",)),
    Preset("everything", "Everything", ()),
)
