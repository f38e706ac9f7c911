"""What else the machine did while a visit was timed: the record."""

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


class Telemetry(msgspec.Struct, frozen=True):
    """Readings over the rounds of a visit; None where the system does not say.

    Attributes:
        others: share of the time of the processors it may use that other processes had, 0 to 1.
        steal: share of it that the host of a virtual machine kept, 0 to 1.
        switches: involuntary context switches of the worker.
        frequency: of the processor at the end, in Hz.
        device: the accelerator that was measured on, at the end.
    """

    others: float | None = None
    steal: float | None = None
    switches: int | None = None
    frequency: float | None = None
    device: DeviceReading | None = None
