"""What a probe saw: the record, and the values that it may hold."""

from __future__ import annotations

import msgspec

Value = bool | int | float | str | None


class Observation(msgspec.Struct, frozen=True, tag="observation"):
    """What one probe saw.

    Attributes:
        trait: id of the probe.
        question: what was asked.
        code: what was run, whole.
        method: name of the method; empty for a question about no method.
        observed: observed values by name; sizes are in bytes.
        error: why nothing was observed, in a line; empty where the probe came to its end.
    """

    trait: str
    question: str
    code: str
    method: str = ""
    observed: dict[str, Value] = {}
    error: str = ""
