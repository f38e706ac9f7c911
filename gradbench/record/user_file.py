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

    @property
    def clause(self) -> str:
        """The sentence without a full stop; with a capital where no line stands before it."""
        return self.sentence if self.line else f"{self.sentence[:1].upper()}{self.sentence[1:]}"

    @property
    def words(self) -> str:
        """The line and the sentence, for a terminal."""
        return f"{self.line}: {self.clause}." if self.line else f"{self.clause}."


class Under(msgspec.Struct, frozen=True):
    """What a model does under a method, where that is not what the method promises.

    Attributes:
        raises: why it cannot be measured there, as a clause; empty where it can.
        requires_grad, is_leaf, inference: of its result; None where it raises.
    """

    raises: str = ""
    requires_grad: bool | None = None
    is_leaf: bool | None = None
    inference: bool | None = None


# Operators that a sentence names.
_NAMED = 3


def _listed(names: tuple[str, ...]) -> str:
    rest = len(names) - _NAMED
    shown = ", ".join(names[:_NAMED])
    return shown if rest <= 0 else f"{shown} and {rest} other{'' if rest == 1 else 's'}"


class Differs(msgspec.Struct, frozen=True):
    """How a recorded forward differs from one that is not recorded.

    Attributes:
        most: the largest difference between elements of the two results; None where it cannot be had, since
            their shapes differ or only one holds NaN.
        relative: the norm of that difference, as a part of the norm of the recorded result; None as there.
        apart: the results differ by more than rounding.
        recorded_only, unrecorded_only: operators that one of the two dispatches, and the other does not;
            views are not among them.
    """

    most: float | None
    relative: float | None
    apart: bool
    recorded_only: tuple[str, ...] = ()
    unrecorded_only: tuple[str, ...] = ()

    @property
    def operators(self) -> str:
        """Which operators take the place of which, as a clause that names a few; empty where none do."""
        one, other = _listed(self.recorded_only), _listed(self.unrecorded_only)
        if not one and not other:
            return ""
        return f"not recorded, torch runs {other or 'fewer operators'}" + (
            f" in place of {one}" if one else ""
        )


class Measurable(msgspec.Struct, frozen=True):
    """A model or a function of the user's, as a worker saw it with its x.

    Attributes:
        shape, dtype, device: of x.
        result: dtype of its result.
        coarsest: of the dtypes of the parameters and of the result, the one with the fewest digits.
        parameters: their elements; a tied parameter counts once.
        trained: of these, the elements that require gradients.
        calls: whether its file defines `call`.
        trains: whether its file defines `loss`; of a version, whether the loss also reaches something that
            requires gradients.
        repeats: whether the loss is the same from call to call.
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


class FileFacts(Measurable, frozen=True, tag="file_facts"):
    """What a file of the user's defines, as far as a plan needs to know.

    Attributes:
        load, forward, step: seconds that it took to run the file, one tracked evaluation, and one training
            step: rough, from one execution.
        faults: that were seen in it.
        anatomy: where its memory goes; None where that could not be seen.
        changes: of its training, that save memory.
        tracks_model, tracks_x: whether parameters are tracked, and whether x is.
        scripted: the model is, or holds, a TorchScript module.
        under: by method what the model does in evaluation, where that is not what the method promises; and
            `tracked` where the recorded result does not require gradients.
        training: the same for alternatives of the forward in training.
        differs: how recorded and unrecorded evaluation differ; None where they do not, or it is not known.
        training_apart: the unrecorded loss in training differs by more than rounding.
    """

    load: float
    forward: float
    step: float
    faults: tuple[Fault, ...] = ()
    anatomy: Anatomy | None = None
    changes: tuple[Change, ...] = ()
    tracks_model: bool = True
    tracks_x: bool = False
    scripted: bool = False
    under: dict[str, Under] = {}
    training: dict[str, Under] = {}
    differs: Differs | None = None
    training_apart: bool = False


class OperationFacts(msgspec.Struct, frozen=True, tag="operation_facts"):
    """What expressions of x do, as far as a plan needs to know.

    Attributes:
        each: of the expressions, one or two; `step` is seconds of a forward and a backward.
        backward: by expression, whether it has one.
        results, gradients: of two expressions how these differ, as a clause; empty where there are not two.
        apart: of two expressions the results, or the gradients of x, differ by more than rounding.
    """

    each: tuple[FileFacts, ...]
    backward: tuple[bool, ...]
    results: str = ""
    gradients: str = ""
    apart: bool = False
