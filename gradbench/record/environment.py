"""The machine and the software that a run was measured on."""

from __future__ import annotations

import msgspec


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
