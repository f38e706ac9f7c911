"""The devices that a request names, resolved by a process with torch."""

from __future__ import annotations

import sys

import msgspec

from gradbench.errors import RequestError
from gradbench.measure.process import WorkerProcess
from gradbench.measure.protocol import WorkerSettings
from gradbench.record.devices import KINDS, all_of, kind_of
from gradbench.record.plan import Request


def resolve_devices(request: Request, python: str = sys.executable) -> Request:
    """The request with its devices by name, and the free bytes on each; asks a process with torch.

    Args:
        python: the interpreter of that process.

    Raises RequestError, in one line, for a device that is not here, or that gradbench has no clock for.
    """
    with WorkerProcess(WorkerSettings(0, "devices", 0, 1), 0, 0, "system", python) as worker:
        ready = worker.ready()
    here = ready.environment.devices
    wanted = all_of(here) if request.device == "all" else request.device
    named = msgspec.structs.replace(request, device=wanted)
    for device in named.devices:
        if device not in here:
            raise RequestError(
                f"--device {request.device}: torch {ready.environment.torch} finds only {', '.join(here)} "
                + (f"here: {ready.lacks['cuda']}" if device.startswith("cuda") and len(here) == 1 else "here")
            )
        if kind_of(device) not in KINDS:
            raise RequestError(
                f"--device {request.device}: this version measures on {' and '.join(KINDS)}; there is no "
                f"clock for {kind_of(device)} yet"
            )
        if device in ready.lacks:
            raise RequestError(
                f"--device {request.device}: {device} cannot be used now: {ready.lacks[device]}"
            )
    devices = named.devices
    return msgspec.structs.replace(
        named,
        device=",".join(devices),
        room={device: ready.free[device] for device in devices if device in ready.free},
    )
