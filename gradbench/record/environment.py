"""The machine and the software that a run used."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class AcceleratorFacts(msgspec.Struct, frozen=True):
    """A device that a run measured on or could measure on.

    Attributes:
        device: as torch names it, such as `cuda:0`.
        capability: version of its instructions, such as 9.0.
        driver: version of the driver; None where neither NVML nor the system reports it.
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
    """Facts that may change a result and are not in the plan. It keeps no name of the machine or of its user.

    Attributes:
        cpus: logical processors that the process may use.
        memory: bytes of main memory.
        torch_config: the build, as `torch.__config__.show()` prints it.
        devices: the devices that torch can use here, `cpu` first.
        accelerators: the accelerators among them; empty where a run measures on none.
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
    """A fact of a run, and where it has to be the same. Elsewhere the difference may be the question.

    Attributes:
        name: name of a field of the header, of its options or of its environment.
        resumed: it must be the same to put passes into one run.
        compared: it must be the same to compare the ratios of two runs.
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
    """The differences that make two environments unequal for a measurement, in words."""
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
