"""Facts about a user's file with a model that a plan needs, and the faults in the file."""

from __future__ import annotations

import msgspec

from gradbench.record.anatomy import Anatomy, Change


class Fault(msgspec.Struct, frozen=True, tag="fault", omit_defaults=True):
    """A problem in a user's file that its author wants to know, though gradbench can measure the file.

    Attributes:
        kind: the problem in a few words: "values differ", "does not work under".
        sentence: the problem, for a reader.
        line: the line at fault: "net.py:18"; empty where there is none.
        bytes: its price in memory; None where it is unknown.
        seconds: its price in time, per call; None where it is unknown.
    """

    kind: str
    sentence: str
    line: str = ""
    bytes: int | None = None
    seconds: float | None = None

    @property
    def clause(self) -> str:
        """The sentence without a full stop; with a capital where no line comes before it."""
        return self.sentence if self.line else f"{self.sentence[:1].upper()}{self.sentence[1:]}"

    @property
    def words(self) -> str:
        """The line and the sentence, for a terminal."""
        return f"{self.line}: {self.clause}." if self.line else f"{self.clause}."


class Under(msgspec.Struct, frozen=True):
    """Behaviour of a model under a method that differs from the promise of the method.

    Attributes:
        raises: why gradbench cannot measure it there, as a clause; empty where it can.
        requires_grad, is_leaf, inference: attributes of its result; None where it raises.
    """

    raises: str = ""
    requires_grad: bool | None = None
    is_leaf: bool | None = None
    inference: bool | None = None


# The number of operators that a sentence names.
_NAMED = 3


def _listed(names: tuple[str, ...]) -> str:
    rest = len(names) - _NAMED
    shown = ", ".join(names[:_NAMED])
    return shown if rest <= 0 else f"{shown} and {rest} other{'' if rest == 1 else 's'}"


class Differs(msgspec.Struct, frozen=True):
    """How a recorded forward differs from one that is not recorded.

    Attributes:
        most: the largest difference between elements of the two results; None where it cannot be computed,
            since their shapes differ or only one holds NaN.
        relative: the norm of that difference, as a part of the norm of the recorded result; None as for
            `most`.
        apart: the results differ by more than rounding.
        recorded_only, unrecorded_only: operators that only one of the two dispatches; views do not count.
    """

    most: float | None
    relative: float | None
    apart: bool
    recorded_only: tuple[str, ...] = ()
    unrecorded_only: tuple[str, ...] = ()

    @property
    def operators(self) -> str:
        """A clause that names a few operators that replace others; empty where none do."""
        one, other = _listed(self.recorded_only), _listed(self.unrecorded_only)
        if not one and not other:
            return ""
        return f"not recorded, torch runs {other or 'fewer operators'}" + (
            f" in place of {one}" if one else ""
        )


class Measurable(msgspec.Struct, frozen=True):
    """A user's model or function, as a worker saw it with its x.

    Attributes:
        shape, dtype, device: shape, dtype and device of x.
        result: dtype of its result.
        coarsest: the dtype with the fewest digits among those of the parameters and of the result.
        parameters: number of their elements; a tied parameter counts once.
        trained: number of elements that require gradients.
        calls: whether its file defines `call`.
        trains: whether its file defines `loss`. For a version the loss must also reach a tensor that requires
            gradients.
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
    """Facts about a user's file that a plan needs.

    Attributes:
        load, forward, step: seconds to run the file, of one tracked evaluation, and of one training step.
            They are rough, from one execution.
        faults: faults that the worker saw in the file.
        anatomy: where its memory goes; None where the worker could not see it.
        changes: changes of its training that save memory.
        tracks_model, tracks_x: whether parameters are tracked, and whether x is.
        scripted: the model is or holds a TorchScript module.
        under: by method the behaviour of the model in evaluation, where it differs from the promise of the
            method. `tracked` is among them where the recorded result does not require gradients.
        training: the same as `under`, for alternatives of the forward in training.
        differs: how recorded and unrecorded evaluation differ; None where they do not, or where that is
            unknown.
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
    """Facts about expressions of x that a plan needs.

    Attributes:
        each: facts of the expressions, one or two; `step` is the seconds of a forward and a backward.
        backward: by expression, whether it has one.
        results, gradients: clauses on how those of two expressions differ; empty where there are not two.
        apart: the results of two expressions, or the gradients of x, differ by more than rounding.
    """

    each: tuple[FileFacts, ...]
    backward: tuple[bool, ...]
    results: str = ""
    gradients: str = ""
    apart: bool = False
