"""The machine and the software that a run was measured on."""

from __future__ import annotations

from typing import NamedTuple

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


class Fact(NamedTuple):
    """A fact of a run, and where it has to be the same; where it need not, a difference may be what is asked.

    Attributes:
        name: of a field of the header, of its options or of its environment.
        resumed: to put the passes of one run together.
        compared: to compare the ratios of two runs.
    """

    name: str
    resumed: bool
    compared: bool


FACTS = (
    Fact("machine", resumed=True, compared=True),
    Fact("processor", resumed=True, compared=True),
    Fact("cpus", resumed=True, compared=True),
    Fact("accelerators", resumed=True, compared=True),
    Fact("threads", resumed=True, compared=True),
    # A run that is resumed takes these two from its own header.
    Fact("allocator", resumed=False, compared=True),
    Fact("batch_seconds", resumed=False, compared=True),
    Fact("gradbench", resumed=False, compared=False),
    Fact("torch", resumed=True, compared=False),
    Fact("torch_git", resumed=True, compared=False),
    Fact("torch_config", resumed=False, compared=False),
    Fact("python", resumed=True, compared=False),
    Fact("implementation", resumed=False, compared=False),
    Fact("numpy", resumed=False, compared=False),
    Fact("system", resumed=True, compared=False),
    Fact("libc", resumed=False, compared=False),
)


def differences(one: Environment, other: Environment) -> list[str]:
    """What keeps two environments from being the same for a measurement, in words."""
    return [
        f"{fact.name} {words(getattr(one, fact.name))} and {words(getattr(other, fact.name))}"
        for fact in FACTS
        if fact.resumed and getattr(one, fact.name) != getattr(other, fact.name)
    ]


def words(value: object) -> str:
    """A fact of an environment, as a message shows it."""
    if isinstance(value, tuple):
        return "; ".join(str(each) for each in value) or "none"
    return str(value)
