"""A check of the doctor: its state, the finding and advice."""

from __future__ import annotations

from collections.abc import Sequence
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


def verdict(checks: Sequence[Check], quick: bool = False) -> str:
    """Whether the machine is fit to measure, in a sentence; `quick` checks leave out the noise."""
    poor = [f"{each.advice} ({each.found})" for each in checks if each.state == "poor"]
    if poor:
        return f"Not fit now: {'; '.join(poor)}."
    unknown = [
        each.found for each in checks if each.state == "unknown" and each.name.startswith("noise floor")
    ]
    if unknown:
        return f"Not known whether it is fit: the noise was {unknown[0]}."
    limits = [each.name for each in checks if each.state == "fair"]
    if quick:
        return "Fit to measure, as far as --quick shows: it does not measure the noise."
    return f"Fit to measure, with limits: {', '.join(limits)}." if limits else "Fit to measure."
