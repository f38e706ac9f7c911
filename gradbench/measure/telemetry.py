"""The machine's other activity during a visit: for warnings, and to explain bad visits."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import psutil

from gradbench.measure import nvml
from gradbench.record.telemetry import Telemetry


class Watch:
    """Watches the processors that this process may use, from its making to `read`."""

    def __init__(self, uuid: str | None = None) -> None:
        """With the identifier of an accelerator it watches the accelerator as well."""
        self._uuid = uuid
        self._processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        self._process = psutil.Process()
        self._times = self._processor_times()
        self._switches = self._context_switches()

    def read(self) -> Telemetry:
        """The activity since this watch was made."""
        times, switches = self._processor_times(), self._context_switches()
        others = steal = None
        if times is not None and self._times is not None:
            total, idle, stolen, own = (
                after - before for after, before in zip(times, self._times, strict=True)
            )
            if total > 0:
                others = min(1.0, max(0.0, (total - idle - stolen - own) / total))
                steal = min(1.0, max(0.0, stolen / total))
        switched = None if switches is None or self._switches is None else switches - self._switches
        device = None if self._uuid is None else nvml.read(self._uuid)
        return Telemetry(others, steal, switched, _frequency(), device)

    def _processor_times(self) -> tuple[float, float, float, float] | None:
        """Seconds since some moment: of the processors in all, idle, stolen, and of this process."""
        try:
            each, own = psutil.cpu_times(percpu=True), self._process.cpu_times()
        except (psutil.Error, OSError):
            return None
        mine = [cpu for number, cpu in enumerate(each) if number in (self._processors or range(len(each)))]
        if not mine:
            return None
        total = sum(sum(cpu) - _guests(cpu) for cpu in mine)
        idle = sum(cpu.idle + getattr(cpu, "iowait", 0.0) for cpu in mine)
        stolen = sum(getattr(cpu, "steal", 0.0) for cpu in mine)
        return total, idle, stolen, own.user + own.system

    def _context_switches(self) -> int | None:
        try:
            switches: int = self._process.num_ctx_switches().involuntary
        except (psutil.Error, OSError, NotImplementedError):
            return None
        return switches


def _guests(cpu: Any) -> float:
    """Seconds of guests, which the seconds of the user already include."""
    seconds: float = getattr(cpu, "guest", 0.0) + getattr(cpu, "guest_nice", 0.0)
    return seconds


def _frequency() -> float | None:
    # Most virtual machines have no frequency, and psutil reports that in several forms.
    with contextlib.suppress(psutil.Error, OSError, NotImplementedError, AttributeError):
        found = psutil.cpu_freq()
        if found is not None and found.current > 0:
            return float(found.current) * 1e6
    return None
