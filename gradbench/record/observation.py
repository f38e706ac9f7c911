"""The record of a probe's observation, and the values that it may hold."""

from __future__ import annotations

import msgspec

Value = bool | int | float | str | None


class Observation(msgspec.Struct, frozen=True, tag="observation"):
    """The observation of one probe.

    Attributes:
        trait: id of the probe.
        question: the question of the probe.
        code: the whole code of the probe.
        method: name of the method; empty for a question about no method.
        observed: observed values by name; sizes are in bytes.
        error: why the probe observed nothing, in a line; empty where it finished.
    """

    trait: str
    question: str
    code: str
    method: str = ""
    observed: dict[str, Value] = {}
    error: str = ""
