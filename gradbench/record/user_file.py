"""What a file with a model of the user's defines, as far as a plan needs to know; and what is wrong in it."""

from __future__ import annotations

import msgspec

from gradbench.record.anatomy import Anatomy, Change


class Fault(msgspec.Struct, frozen=True, tag="fault", omit_defaults=True):
    """Something in a file of the user's that its author wants to know, though the file can be measured.

    Attributes:
        kind: in a few words: "values differ", "does not work under".
        sentence: what is wrong, for a reader.
        line: where: "net.py:18"; empty where no line is at fault.
        bytes: what it costs in memory; None where that is not known.
        seconds: what it costs in time, per call; None where that is not known.
    """

    kind: str
    sentence: str
    line: str = ""
    bytes: int | None = None
    seconds: float | None = None


class FileFacts(msgspec.Struct, frozen=True, tag="file_facts"):
    """What a file of the user's defines, as far as a plan needs to know.

    Attributes:
        shape, dtype, device: of x.
        result: dtype of the model's result.
        coarsest: of the dtypes of the parameters and of the result, the one with the fewest digits.
        parameters: their elements; a tied parameter counts once.
        trained: of these, the elements that require gradients.
        calls: whether it defines `call`.
        trains: whether it defines `loss`.
        repeats: whether the loss is the same from call to call.
        load, forward, step: seconds that it took to run the file, one tracked evaluation, and one training
            step: rough, from one execution.
        faults: that were seen in it.
        anatomy: where its memory goes; None where that could not be seen.
        changes: of its training, that save memory.
    """

    shape: tuple[int, ...]
    dtype: str
    device: str
    result: str
    coarsest: str
    parameters: int
    trained: int
    calls: bool
    trains: bool
    repeats: bool
    load: float
    forward: float
    step: float
    faults: tuple[Fault, ...] = ()
    anatomy: Anatomy | None = None
    changes: tuple[Change, ...] = ()
