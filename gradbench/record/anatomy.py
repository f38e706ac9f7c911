"""Where the memory of a user's training goes: what each module keeps for the backward, and the rest."""

from __future__ import annotations

from typing import Literal

import msgspec


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """One storage that the graph keeps for the backward.

    Attributes:
        module: qualified name of the innermost module that saved it first; empty outside of all modules.
        bytes: bytes of the storage.
        role: an `activation`, which only the graph keeps alive; or a `parameter`, a `buffer` or the `input`,
            which stay alive anyway.
        operator: the function of torch that saved it; empty where no hook saw the function.
        shape, dtype: shape and dtype of the saved tensor.
        line: the line of the user's code that called it, such as `net.py:18`; empty where no line of Python
            did.
        also: further modules that save the same storage, which costs nothing more.
        passes_on: nothing in the module is trained; it keeps this to pass a gradient on.
    """

    module: str
    bytes: int
    role: Literal["activation", "parameter", "buffer", "input"]
    operator: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    line: str = ""
    also: tuple[str, ...] = ()
    passes_on: bool = False


class OptimizerCost(msgspec.Struct, frozen=True, omit_defaults=True):
    """Memory and time of the file's optimizer.

    Attributes:
        name: class of the optimizer.
        state: bytes of its state after one step.
        peak: most bytes live at once in a later step, above those live before the step.
        seconds: rough seconds of a step: the shortest of a few.
    """

    name: str
    state: int
    peak: int
    seconds: float


class Trained(msgspec.Struct, frozen=True):
    """Memory that the trained parameters need.

    Attributes:
        gradients, state: bytes of their gradients, and of their state in the optimizer.
        peak: most bytes live at once in a step of the optimizer, beside gradients and state.
    """

    gradients: int
    state: int
    peak: int = 0


class BatchPeak(msgspec.Struct, frozen=True):
    """The most bytes live at once in a training step on the first `samples` of x, above its start."""

    samples: int
    peak: int


class Anatomy(msgspec.Struct, frozen=True, tag="anatomy", omit_defaults=True):
    """Where the memory of a user's training goes, in bytes; without a loss in the file, that of evaluation.

    Attributes:
        trains: the figures are of forward and loss, and not of an evaluation.
        kept: storages that the graph keeps before the backward, in the order in which they were saved.
        parameters, buffers: unique storages of the model.
        input: bytes of the storage of x, which may hold more than x.
        batch: bytes of x alone.
        gradients: unique storages of all gradients after one backward; None without a loss.
        optimizer: memory and time of the optimizer; None where the file defines none, or where its step
            failed.
        optimizer_unknown: why its step failed; empty where it worked, and where there is no optimizer.
        changed: by the name of a change, memory that the parameters still trained need.
        batches: peaks on parts of x, where a smaller x works; the last one is on all of x.
        fit: bytes that training should fit into; None where the request names none.
        predicted: the samples that fit, by the line through `batches`; None where there is no line.
        verified: the largest batch that was executed and fits; None where none was.
        over: the smallest batch that was executed and does not fit.
        left_out: changes that would save, with the reason why they are not measured.
    """

    trains: bool
    kept: tuple[Kept, ...]
    parameters: int
    buffers: int
    input: int
    gradients: int | None = None
    batch: int = 0
    optimizer: OptimizerCost | None = None
    optimizer_unknown: str = ""
    changed: dict[str, Trained] = {}
    batches: tuple[BatchPeak, ...] = ()
    fit: int | None = None
    predicted: int | None = None
    verified: BatchPeak | None = None
    over: BatchPeak | None = None
    left_out: dict[str, str] = {}

    @property
    def saved(self) -> int:
        """Bytes of all storages that the graph keeps: the sum of the rows."""
        return sum(each.bytes for each in self.kept)

    @property
    def activations(self) -> int:
        """Bytes that only the graph keeps alive."""
        return sum(each.bytes for each in self.kept if each.role == "activation")

    @property
    def trained(self) -> Trained:
        """Memory that the trained parameters need."""
        optimizer = self.optimizer
        if optimizer is None:
            return Trained(self.gradients or 0, 0)
        return Trained(self.gradients or 0, optimizer.state, optimizer.peak)

    def stands(self, change: str = "", samples: float = 1.0) -> int:
        """Bytes that are live before each step: parameters, buffers, x, and the state of the optimizer.

        Args:
            change: the name of a change, after which less may be trained.
            samples: samples, as a part of all in x.
        """
        trained = self.changed.get(change, self.trained)
        others = self.input - self.batch
        return self.parameters + self.buffers + trained.state + others + round(self.batch * samples)

    def stepping(self, change: str = "", samples: float = 1.0) -> int:
        """The most bytes live at once in a step of the optimizer, when the activations are gone."""
        trained = self.changed.get(change, self.trained)
        more = trained.gradients + trained.peak if self.optimizer else 0
        return self.stands(change, samples) + more

    def highest(self, peak: int, change: str = "", samples: float = 1.0) -> int:
        """The most bytes live at once while training; `peak` is of a step, above the bytes live before it."""
        return max(self.stands(change, samples) + peak, self.stepping(change, samples))


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of the user's training that would save memory; it was executed and found to work.

    Attributes:
        name: unique in its comparison.
        label: the change in a few words.
        effect: its effect on training, in a sentence.
        code: lines that make it, on the variant's copies of `model` and `x`.
        same_loss: the change leaves the loss as it is.
        modules: modules that the lines change; empty where they change x.
        trained: modules that get the same gradients as without it; empty for all that are trained.
    """

    name: str
    label: str
    effect: str
    code: str
    same_loss: bool = True
    modules: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()
