"""Versions of the user's that are held against each other, as far as a plan and a report need to know them.

A version is a file, or an entry of the dict `variants` in a file.
"""

from __future__ import annotations

import msgspec

from gradbench.record.user_file import Measurable


class FileText(msgspec.Struct, frozen=True):
    """A file of the user's.

    Attributes:
        name: the end of its path that tells it from the other files of the run.
        text: as it is run, with torch seeded before its first statement.
    """

    name: str
    text: str


class VersionFacts(Measurable, frozen=True):
    """One version, as a worker saw it.

    Attributes:
        name: of its file, or its key in `variants`.
        module: it is a torch.nn.Module, and no other callable.
        records: its recorded result requires gradients.
        forward, step: seconds of one forward and of one training step; rough, from one execution.
        unevaluated: why it cannot be evaluated under torch.no_grad(), as a clause; empty where it can.
    """

    name: str
    module: bool
    records: bool
    forward: float
    step: float
    unevaluated: str = ""


class VersionsFacts(msgspec.Struct, frozen=True, tag="versions_facts"):
    """All versions of a run, the baseline first; none of a file with a `model` and no dict `variants`.

    Attributes:
        load: seconds that it took to run the files.
        x_requires_grad: x is made to require gradients, since a version is a function without parameters.
    """

    versions: tuple[VersionFacts, ...]
    load: float
    x_requires_grad: bool = False


class Agreement(msgspec.Struct, frozen=True, tag="agreement", omit_defaults=True):
    """How far the result of one version is from the baseline's.

    Attributes:
        error: norm of the difference, relative to the norm of the baseline's result; 0.0 where they are equal
            to the bit. None where the two cannot be subtracted.
        shapes: of the result and of the baseline's, where they differ.
        same_x: both were computed from the same values.
    """

    comparison: str
    variant: str
    error: float | None
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    same_x: bool = True
