"""What was read of an accelerator at the end of a visit."""

from __future__ import annotations

import msgspec


class DeviceReading(msgspec.Struct, frozen=True):
    """A device at the end of a visit; None where NVML does not say.

    Attributes:
        clock: of its processors, in Hz.
        power: in watts.
        temperature: in degrees Celsius.
        throttled: what held it back; empty for nothing.
        others: processes that have work for it, beside the one that asks.
    """

    clock: float | None = None
    power: float | None = None
    temperature: float | None = None
    throttled: tuple[str, ...] | None = None
    others: int | None = None
