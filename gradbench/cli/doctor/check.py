"""A check of the doctor: its state, the finding and advice."""

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


def judged(name: str, good: bool, otherwise: State, found: str, advice: str) -> Check:
    """A check that is good, or has another state and advice."""
    return Check(name, "good", found) if good else Check(name, otherwise, found, advice)
