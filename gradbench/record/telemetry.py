"""The record of the machine's other activity during a visit."""

from __future__ import annotations

import msgspec


class DeviceReading(msgspec.Struct, frozen=True):
    """A device at the end of a visit; None where NVML does not report a value.

    Attributes:
        clock: of its processors, in Hz.
        power: in watts.
        temperature: in degrees Celsius.
        throttled: reasons for throttling; empty for none.
        others: other processes that have work for the device.
    """

    clock: float | None = None
    power: float | None = None
    temperature: float | None = None
    throttled: tuple[str, ...] | None = None
    others: int | None = None


class Telemetry(msgspec.Struct, frozen=True):
    """Readings over the rounds of a visit; None where the system does not report a value.

    Attributes:
        others: share of the processors' time that other processes had, 0 to 1; of the processors that it may
            use.
        steal: share of the same time that the host of a virtual machine kept, 0 to 1.
        switches: involuntary context switches of the worker.
        frequency: of the processor at the end, in Hz.
        device: the accelerator of the visit, at the end.
    """

    others: float | None = None
    steal: float | None = None
    switches: int | None = None
    frequency: float | None = None
    device: DeviceReading | None = None
