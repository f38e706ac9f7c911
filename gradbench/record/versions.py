"""Facts about the user's versions, which a run compares, for the plan and the report.

A version is a file, or an entry of the dict `variants` in a file.
"""

from __future__ import annotations

import msgspec

from gradbench.record.user_file import Measurable


class FileText(msgspec.Struct, frozen=True):
    """A user's file.

    Attributes:
        name: the end of its path that differs from those of the other files of the run.
        text: the text that runs, with torch seeded before its first statement.
    """

    name: str
    text: str


class VersionFacts(Measurable, frozen=True):
    """One version, as a worker saw it.

    Attributes:
        name: name of its file, or its key in `variants`.
        module: the version is a torch.nn.Module, and no other callable.
        records: its recorded result requires gradients.
        forward, step: seconds of one forward and of one training step; rough, from one execution.
        unevaluated: a clause on why evaluation under torch.no_grad() fails; empty where it works.
    """

    name: str
    module: bool
    records: bool
    forward: float
    step: float
    unevaluated: str = ""


class VersionsFacts(msgspec.Struct, frozen=True, tag="versions_facts"):
    """All versions of a run, the baseline first; empty for a file with a `model` and no dict `variants`.

    Attributes:
        load: seconds to run the files.
        x_requires_grad: gradbench makes x require gradients, since a version is a function without
            parameters.
    """

    versions: tuple[VersionFacts, ...]
    load: float
    x_requires_grad: bool = False


class Agreement(msgspec.Struct, frozen=True, tag="agreement", omit_defaults=True):
    """How far the result of one version is from the baseline's.

    Attributes:
        error: norm of the difference, relative to the norm of the baseline's result. It is 0.0 where the two
            are equal to the bit, and None where they cannot be subtracted.
        shapes: shapes of the result and of the baseline's, where they differ.
        same_x: both results come from the same values of x.
    """

    comparison: str
    variant: str
    error: float | None
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    same_x: bool = True
