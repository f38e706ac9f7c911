"""The real execution of a variant, as torch's dispatcher and its graph show it.

Variants are one execution, apart from the control itself, under three conditions. They dispatch the same
operators on the same kinds of tensors. They keep the same storages for a backward. They leave the same kind
of result. Code that a dispatch mode cannot see, such as compiled code, is a separate execution.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import psutil
import torch

from gradbench.measure.operators import DispatchMode, compiles
from gradbench.measure.threads import Elsewhere, other_threads


class Executable(Protocol):
    """Code that can be executed again and again: a variant, or a call."""

    @property
    def x(self) -> torch.Tensor | None: ...

    def set_up_call(self) -> dict[str, Any]: ...

    def run_and_keep(self, per_call: dict[str, Any]) -> list[Any]: ...


@dataclass(frozen=True)
class Observed:
    """One execution, as it was observed.

    Attributes:
        signature: equal for the same execution; None where the dispatcher could not be watched.
        operators: number of dispatched operators; None as for `signature`.
        seconds: its seconds, with the watch included.
        saved: bytes of the unique storages that graphs keep afterwards, the result held; None where the
            statement works under no hook, as torch.func does.
        resident: growth of the process's resident set over it, the result held.
    """

    signature: Hashable | None
    operators: int | None
    seconds: float
    saved: int | None
    resident: int


def observe(execution: Executable) -> Observed:
    """Execute once and watch dispatched operators and saved tensors; the setup of the call is unwatched.

    Where one of the two cannot be watched, the execution goes without. Then errors of the statement pass
    through.
    """
    if not compiles():
        with contextlib.suppress(Exception):
            operators = DispatchedOperators()
            observed = _observed(execution, operators)
            # An execution that took time without any operator is invisible to a mode, such as a CUDA graph.
            if operators.seen:
                return observed
    with contextlib.suppress(Exception):
        return _observed(execution, None)
    per_call = execution.set_up_call()
    _, seconds, resident = _executed(execution.run_and_keep, per_call, contextlib.nullcontext())
    return Observed(None, None, seconds, None, resident)


class DispatchedOperators(DispatchMode):
    """Notes each dispatched operator, with the kinds of its arguments; holds no argument."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Hashable] = []
        self._paused = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the notes: operators within are gradbench's, and not the statement's."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self._paused:
            self.seen.append((str(func), _kind(args), _kind(kwargs or {})))
        return func(*args, **(kwargs or {}))


def _kind(value: Any) -> Hashable:
    """The properties that an operator decides by: all of a tensor but values and flag; a number's value."""
    if isinstance(value, torch.Tensor):
        strides = value.stride() if value.layout == torch.strided else ()
        return tuple(value.shape), strides, value.dtype, value.device, value.layout
    if isinstance(value, list | tuple):
        return tuple(_kind(each) for each in value)
    if isinstance(value, dict):
        return tuple((name, _kind(each)) for name, each in sorted(value.items()))
    if value is None or isinstance(value, bool | int | float | complex | str):
        return type(value), repr(value)
    if isinstance(value, torch.dtype | torch.device | torch.layout | torch.memory_format):
        return str(value)
    return type(value).__name__


class Saved:
    """The tensors that graphs of the watched execution keep for a backward.

    Attributes:
        elsewhere: the work in other threads, where the watch includes it.
    """

    def __init__(self) -> None:
        self._held: weakref.WeakSet[SavedTensor] = weakref.WeakSet()
        self._lock = threading.Lock()
        self.elsewhere: Elsewhere | None = None

    def add(self, saved: SavedTensor) -> None:
        with self._lock:
            self._held.add(saved)

    def bytes(self) -> int:
        """Bytes of the unique storages that graphs keep."""
        return _bytes_of(storage for each in self._held for storage in each.storages)

    def bytes_of_graph_alone(self, device: str) -> int:
        """As `bytes`, for storages of this kind of device that no other object holds."""
        count = getattr(torch._C, "_storage_Use_Count", None)
        if count is None:
            return 0
        kind = torch.device(device).type
        storages = {
            storage._cdata: storage
            for each in self._held
            for storage in each.storages
            if storage.device.type == kind
        }
        # Python has one object for a storage, no matter how many tensors hold it.
        return sum(each.nbytes() for address, each in storages.items() if count(address) == 1)


class SavedTensor:
    """Replaces a saved tensor in the graph, so that a release by the graph can be seen.

    It holds the storages, so that no new storage takes their addresses. It does not hold the tensor. An
    operation that saves its result would otherwise hold itself, through the result's history, and never be
    released.

    Attributes:
        storages: the storages of the tensor.
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        self.storages = storages_of(tensor)
        self._place = _place(tensor)
        self._again: torch.Tensor | None = None
        if self._place is None:
            self._like = self._again = tensor.detach()
        else:
            self._like = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        self._of = weakref.ref(tensor)

    @classmethod
    def of(cls, tensor: torch.Tensor) -> SavedTensor:
        """The replacement for a tensor; the same object for a tensor that is saved again.

        Attention that a checkpoint computes again takes another path where its query and key are no longer
        one tensor.
        """
        found = _standing_for.get(id(tensor))
        if found is None or found._of() is not tensor or found._place != _place(tensor):
            found = _standing_for[id(tensor)] = cls(tensor)
        return found

    def unpack(self) -> torch.Tensor:
        """The tensor again, for a statement that runs backward; the same object each time."""
        if self._again is None:
            assert self._place is not None
            offset, shape, stride, conjugate, negative = self._place
            (storage,) = self.storages
            self._again = self._like.set_(storage, offset, shape, stride)
            # The stored values are not those of the tensor: z.conj() uses the storage of z.
            if conjugate:
                self._again = torch._conj(self._again)
            if negative:
                self._again = torch._neg_view(self._again)
        return self._again


# Replacements by the number of a tensor.
_standing_for: weakref.WeakValueDictionary[int, SavedTensor] = weakref.WeakValueDictionary()


_Place = tuple[int, torch.Size, tuple[int, ...], bool, bool]


def _place(tensor: torch.Tensor) -> _Place | None:
    """The place and layout of a tensor in its storage; None for a tensor that is more than a storage."""
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_quantized:
        return None
    return tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.is_conj(), tensor.is_neg()


# By layout, the functions that return the parts of a sparse tensor.
_PARTS: dict[torch.layout, tuple[str, ...]] = {
    torch.sparse_coo: ("_indices", "_values"),
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}


def storages_of(tensor: torch.Tensor) -> tuple[torch.UntypedStorage, ...]:
    """The storages of a tensor, or of the parts of a sparse one; empty where torch shows none."""
    parts = [getattr(tensor, name)() for name in _PARTS.get(tensor.layout, ())] or [tensor]
    try:
        return tuple(each.untyped_storage() for each in parts)
    except NotImplementedError:
        return ()


def storage_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of the unique storages of tensors; for sparse tensors, of their parts."""
    return _bytes_of(storage for each in tensors for storage in storages_of(each))


def _bytes_of(storages: Iterable[torch.UntypedStorage]) -> int:
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())


@contextmanager
def saving(
    noted: Callable[[torch.Tensor], object] = lambda _: None,
    unwatched: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
) -> Iterator[Saved]:
    """Watch the tensors that are saved for a backward, and those that graphs still keep.

    Args:
        noted: called with each saved tensor.
        unwatched: a context for the work of this function at saving and restoring.
    """
    held = Saved()

    def pack(tensor: torch.Tensor) -> SavedTensor:
        with unwatched():
            noted(tensor)
            saved = SavedTensor.of(tensor)
        held.add(saved)
        return saved

    def unpack(saved: SavedTensor) -> torch.Tensor:
        with unwatched():
            return saved.unpack()

    def hooks() -> contextlib.AbstractContextManager[Any]:
        found: contextlib.AbstractContextManager[Any] = torch.autograd.graph.saved_tensors_hooks(pack, unpack)
        return found

    with other_threads(hooks) as held.elsewhere, hooks():
        yield held


def no_hooks_allowed(error: Exception) -> bool:
    """Whether torch raised this because a statement works under no saved-tensor hooks, as torch.func does."""
    return isinstance(error, RuntimeError) and "saved tensor hooks" in str(error)


def _observed(execution: Executable, operators: DispatchedOperators | None) -> Observed:
    with observing(execution, operators) as observer:
        observer.run(execution.run_and_keep)(execution.set_up_call())
    return observer.observed


class Observer:
    """Observes an execution, within `observing`.

    Attributes:
        observed: the observation of the latest execution.
    """

    observed: Observed

    def __init__(
        self,
        execution: Executable,
        operators: DispatchedOperators | None,
        packed: list[Hashable],
        held: Saved,
    ) -> None:
        """Saved tensors fill `packed` and `held`."""
        self._execution, self._operators = execution, operators
        self._packed, self._held = packed, held

    def run(self, run: Callable[[dict[str, Any]], list[Any]]) -> Callable[[dict[str, Any]], list[Any]]:
        """A function like `run`, which executes the statement on the setup of a call, but observed."""

        def observed(per_call: dict[str, Any]) -> list[Any]:
            kept, seconds, resident = _executed(run, per_call, self._operators or contextlib.nullcontext())
            elsewhere, saved = self._held.elsewhere, self._held.bytes()
            signature, count = None, None
            # The mode watches the dispatcher only in this thread.
            if self._operators is not None and not (
                elsewhere and (elsewhere.threads or elsewhere.suspects())
            ):
                # A backward that retains its graph dispatches and saves the same as one that does not. Only
                # the tensors that are still kept distinguish them.
                results = tuple(_kind_of_result(each, self._execution.x) for each in tensors_in(kept))
                signature = tuple(self._operators.seen), tuple(self._packed), saved, results
                count = len(self._operators.seen)
            self.observed = Observed(signature, count, seconds, saved, resident)
            return kept

        return observed


@contextmanager
def observing(execution: Executable, operators: DispatchedOperators | None) -> Iterator[Observer]:
    """Observe executions within; their operators, where a mode for them is given.

    The observation includes tensors that the setup of a call saves.
    """
    packed: list[Hashable] = []
    unwatched = contextlib.nullcontext if operators is None else operators.paused
    with saving(lambda tensor: packed.append(_kind(tensor)), unwatched) as held:
        yield Observer(execution, operators, packed, held)


def _executed(
    run: Callable[[dict[str, Any]], list[Any]],
    per_call: dict[str, Any],
    watched: contextlib.AbstractContextManager[Any],
) -> tuple[list[Any], float, int]:
    """The kept objects of one execution, its seconds, and the growth of the resident set with them held."""
    process = psutil.Process()
    before = process.memory_info().rss
    started = time.perf_counter()
    with watched:
        kept = run(per_call)
    seconds = time.perf_counter() - started
    return kept, seconds, process.memory_info().rss - before


def _kind_of_result(tensor: torch.Tensor, x: torch.Tensor | None) -> Hashable:
    """The effect of holding a result: its history, and the owner of its storage."""
    addresses = {each.data_ptr() for each in storages_of(tensor)}
    on_x = x is not None and x.untyped_storage().data_ptr() in addresses
    flags = tensor.requires_grad, tensor.is_leaf, tensor.is_inference(), tensor.grad_fn is not None
    return _kind(tensor), flags, on_x


def tensors_in(kept: Any) -> Iterator[torch.Tensor]:
    """The tensors in lists and tuples."""
    if isinstance(kept, torch.Tensor):
        yield kept
    elif isinstance(kept, list | tuple):
        for each in kept:
            yield from tensors_in(each)
