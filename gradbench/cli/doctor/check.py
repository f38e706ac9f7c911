"""What the doctor says of one thing that it looked at."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["good", "fair", "poor", "unknown"]


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        found: what it is here.
        advice: what would help; empty where nothing needs to.
    """

    name: str
    state: State
    found: str
    advice: str = ""
