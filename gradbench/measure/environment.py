"""Observing the machine and the software: in a process that has imported torch."""

from __future__ import annotations

import os
import platform
import warnings
from pathlib import Path

import numpy
import psutil
import torch

from gradbench.measure import nvml
from gradbench.record.environment import AcceleratorFacts, Environment


def observe(accelerators: bool = False) -> Environment:
    """The environment of this process.

    Args:
        accelerators: look at accelerators as well, which starts their driver.
    """
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
    # With a driver that is too old, torch counts devices that it cannot use, and warns.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not torch.accelerator.is_available():
            return []
        kind = torch.accelerator.current_accelerator().type
        return [f"{kind}:{index}" for index in range(torch.accelerator.device_count())]


def _facts(device: str) -> AcceleratorFacts:
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
    """The reason why torch finds no CUDA device, in a line."""
    try:
        torch.cuda.init()
    except (AssertionError, RuntimeError) as error:
        return first_line(error)
    return "it does not say why"


def first_line(error: Exception) -> str:
    """The first line of an error; in CUDA errors the rest is advice on debugging."""
    return " ".join(str(error).strip().partition("\n")[0].split())[:300]


def _processor() -> str:
    """The name of the processor, and on x86 the numbers that distinguish processors of one name.

    A virtual machine may give different processors one name. An `AMD EPYC` of one host took 100 ns for work
    that another did in 66 ns, and ratios differed by up to a third.
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
