"""The machine and the software that a run was measured on."""

from __future__ import annotations

import os
import platform
import warnings
from pathlib import Path

import msgspec

from gradbench import nvml


class AcceleratorFacts(msgspec.Struct, frozen=True):
    """A device that was measured on or could be.

    Attributes:
        device: as torch names it, such as `cuda:0`.
        capability: of its instructions, such as 9.0.
        driver: its version; None where neither NVML nor the system says.
        memory: bytes in all.
    """

    device: str
    name: str
    capability: str
    driver: str | None
    memory: int

    def __str__(self) -> str:
        unknown = "not known"
        return (
            f"{self.device} {self.name} of {self.memory:,} bytes, capability {self.capability or unknown}, "
            f"driver {self.driver or unknown}"
        )


class Environment(msgspec.Struct, frozen=True, omit_defaults=True):
    """What may change a result and is not in the plan. No name of the machine or of its user is kept.

    Attributes:
        cpus: logical processors that the process may use.
        memory: bytes of main memory.
        torch_config: the build, as `torch.__config__.show()` prints it.
        devices: the devices that torch can use here, `cpu` first.
        accelerators: those of them that are none; empty where a run does not measure on any.
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
    accelerators: tuple[AcceleratorFacts, ...] = ()


# What must be the same before the passes of one run may be put together.
MUST_MATCH = (
    "python",
    "system",
    "machine",
    "processor",
    "cpus",
    "torch",
    "torch_git",
    "threads",
    "accelerators",
)


def observe(accelerators: bool = False) -> Environment:
    """The environment of this process. Imports torch.

    Args:
        accelerators: look at those as well, which starts their driver.
    """
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
        devices=("cpu", *(names := _accelerators())),
        accelerators=tuple(_facts(name) for name in names) if accelerators else (),
    )


def _accelerators() -> list[str]:
    """The devices that torch finds beside the CPU, as it names them."""
    import torch

    # Where the driver is too old torch counts devices that it cannot use, and warns.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not torch.accelerator.is_available():
            return []
        kind = torch.accelerator.current_accelerator().type
        return [f"{kind}:{index}" for index in range(torch.accelerator.device_count())]


def _facts(device: str) -> AcceleratorFacts:
    import torch

    properties = torch.get_device_module(device).get_device_properties(device)
    major, minor = getattr(properties, "major", None), getattr(properties, "minor", None)
    return AcceleratorFacts(
        device=device,
        name=properties.name,
        capability="" if major is None else f"{major}.{minor}",
        driver=nvml.driver(),
        memory=int(properties.total_memory),
    )


def why_no_cuda() -> str:
    """What torch says of CUDA where it finds no device, in a line."""
    import torch

    try:
        torch.cuda.init()
    except (AssertionError, RuntimeError) as error:
        return first_line(error)
    return "it does not say why"


def first_line(error: Exception) -> str:
    """What an error says, in a line: of those of CUDA the rest is advice on debugging."""
    return " ".join(str(error).strip().partition("\n")[0].split())[:300]


def _processor() -> str:
    """Its name, and on x86 the numbers that tell it from others of that name.

    A virtual machine may call all of them alike: an `AMD EPYC` of one host took 100 ns for what another took
    66 ns for, and ratios differed by up to a third.
    """
    known: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            known.setdefault(name.strip(), value.strip())
    except OSError:
        pass
    name = known.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{each} {known[each]}" for each in ("cpu family", "model", "stepping") if each in known]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def differences(one: Environment, other: Environment) -> list[str]:
    """What keeps two environments from being the same for a measurement, in words."""
    return [
        f"{name} {words(getattr(one, name))} and {words(getattr(other, name))}"
        for name in MUST_MATCH
        if getattr(one, name) != getattr(other, name)
    ]


def words(value: object) -> str:
    """A fact of an environment, as it is told."""
    if isinstance(value, tuple):
        return "; ".join(str(each) for each in value) or "none"
    return str(value)
