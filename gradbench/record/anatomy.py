"""Where the memory of a user's training goes: what each module keeps for the backward, and the rest."""

from __future__ import annotations

from typing import Literal

import msgspec


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """One storage that the graph keeps for the backward.

    Attributes:
        module: qualified name of the innermost module that saved it first; empty outside of all modules.
        bytes: of the storage.
        role: an `activation`, which only the graph keeps alive; or a `parameter`, a `buffer` or the `input`,
            which are there anyway.
        operator: the function of torch that saved it; empty where that could not be seen.
        shape, dtype: of the tensor that was saved.
        line: where the user's code called it, such as `net.py:18`; empty where no line of Python did.
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
    """What the file's optimizer keeps and takes.

    Attributes:
        name: its class.
        state: bytes of its state after one step.
        peak: most bytes live at once in a later step, above what stands before it.
        seconds: of a step, rough: the shortest of a few.
    """

    name: str
    state: int
    peak: int
    seconds: float


class Trained(msgspec.Struct, frozen=True):
    """What the parameters need that are trained.

    Attributes:
        gradients, state: bytes of their gradients, and of their state in the optimizer.
        peak: most bytes live at once in a step of the optimizer, beside these.
    """

    gradients: int
    state: int
    peak: int = 0


class BatchPeak(msgspec.Struct, frozen=True):
    """The most bytes live at once in a training step on the first `samples` of x, above its start."""

    samples: int
    peak: int


class Anatomy(msgspec.Struct, frozen=True, tag="anatomy", omit_defaults=True):
    """Where the memory of a user's training goes, in bytes; of evaluation, where the file defines no loss.

    Attributes:
        trains: it is of forward and loss, and not of an evaluation.
        kept: what the graph keeps before the backward, in the order in which it was saved.
        parameters, buffers: unique storages of the model.
        input: the storage of x, which may hold more than x.
        batch: of x alone.
        gradients: unique storages of all gradients after one backward; None without a loss.
        optimizer: None where the file defines none, or where it could not be stepped.
        optimizer_unknown: why it could not; empty where it could, and where there is none.
        changed: by the name of a change, what the parameters need that are still trained.
        batches: peaks on parts of x, where a smaller x works; the whole of it is the last.
        fit: bytes that training should fit into, as asked; None where that was not.
        predicted: the samples that fit, by the line through `batches`; None where there is no line.
        verified: the largest batch that was executed and fits; None where none was.
        over: the smallest one that was executed and does not fit.
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
        """Bytes of all that is kept: the sum of the rows."""
        return sum(each.bytes for each in self.kept)

    @property
    def activations(self) -> int:
        """Bytes that only the graph keeps alive."""
        return sum(each.bytes for each in self.kept if each.role == "activation")

    @property
    def trained(self) -> Trained:
        """What the parameters need that are trained."""
        optimizer = self.optimizer
        if optimizer is None:
            return Trained(self.gradients or 0, 0)
        return Trained(self.gradients or 0, optimizer.state, optimizer.peak)

    def stands(self, change: str = "", samples: float = 1.0) -> int:
        """Bytes that stand before each step: parameters, buffers, x, and the state of the optimizer.

        Args:
            change: the name of a change, after which less may be trained.
            samples: of x, as a part of the whole.
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
        """The most bytes live at once while training; `peak` is that of a step, above what stands."""
        return max(self.stands(change, samples) + peak, self.stepping(change, samples))


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of the user's training that would save memory; it was executed and found to work.

    Attributes:
        name: unique in its comparison.
        label: in a few words.
        effect: what it changes in training, in a sentence.
        code: lines that make it, on a `model` and an `x` of the variant's own.
        same_loss: it leaves the loss as it is.
        modules: those that it is made on; empty where it is made on x.
        trained: modules that get the same gradients as without it; empty for all that are trained.
    """

    name: str
    label: str
    effect: str
    code: str
    same_loss: bool = True
    modules: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()
