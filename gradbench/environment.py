"""The machine and the software that a run was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec


class Environment(msgspec.Struct, frozen=True):
    """What may change a result and is not in the plan. No name of the machine or of its user is kept.

    Attributes:
        cpus: logical processors that the process may use.
        memory: bytes of main memory.
        torch_config: the build, as `torch.__config__.show()` prints it.
        devices: the devices that torch can use here, `cpu` first.
    """

    python: str
    implementation: str
    system: str
    machine: str
    processor: str
    cpus: int
    memory: int
    libc: str
    numpy: str
    torch: str
    torch_git: str
    torch_config: str
    threads: int
    devices: tuple[str, ...]


# What must be the same before the passes of one run may be put together.
MUST_MATCH = ("python", "system", "machine", "processor", "cpus", "torch", "torch_git", "threads")


def observe() -> Environment:
    """The environment of this process. Imports torch."""
    import numpy
    import psutil
    import torch

    return Environment(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        processor=_processor(),
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory=psutil.virtual_memory().total,
        libc=" ".join(platform.libc_ver()).strip(),
        numpy=numpy.__version__,
        torch=str(torch.__version__),
        torch_git=torch.version.git_version or "",
        torch_config=torch.__config__.show(),
        threads=torch.get_num_threads(),
        devices=("cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))),
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def differences(one: Environment, other: Environment) -> list[str]:
    """What keeps two environments from being the same for a measurement, in words."""
    return [
        f"{name} {getattr(one, name)} and {getattr(other, name)}"
        for name in MUST_MATCH
        if getattr(one, name) != getattr(other, name)
    ]
