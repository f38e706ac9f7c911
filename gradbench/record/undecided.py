"""What a run leaves open while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Undecided:
    """What a run leaves open so far.

    Attributes:
        open: by comparison id, from 0 for nothing to 1; a comparison that is missing counts as 1.
        says: the same in a few words, for who watches.
    """

    open: Mapping[str, float] = field(default_factory=dict)
    says: str = ""
