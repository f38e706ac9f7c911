"""Looking at versions of the user's, in a worker: what each is, and every mistake in them in one line."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from gradbench.define.dtypes import EPSILON
from gradbench.define.versions import TAKEN
from gradbench.measure.examine import Asked
from gradbench.measure.namespaces import Namespaces
from gradbench.measure.protocol import FileRejected, WorkerSettings
from gradbench.measure.user_file import inspect_user_file
from gradbench.measure.variant import execute
from gradbench.models import leaves_of, share
from gradbench.record.devices import KINDS
from gradbench.record.user_file import Under
from gradbench.record.versions import FileText, VersionFacts, VersionsFacts

# A name stands in tables and in sentences.
LONGEST_NAME = 60
_WANTED = 'expected a dict of two or more, such as variants = {"plain": model_a, "fused": model_b}'


# No changes of training are planned, so none need be looked for.
_FOR_A_PLAN = Asked(changes={})


class _Mistake(Exception):
    """What is wrong with a file; the message is for its author."""


class _Raised(_Mistake):
    """The user's code raised."""


def inspect_versions(files: Sequence[FileText], settings: WorkerSettings) -> VersionsFacts | FileRejected:
    """What several files define, or one file's `variants`; FileRejected where they cannot be measured.

    Args:
        files: in order, the baseline first.
        settings: of this process; they say where the files stand.
    """
    if len(files) > 1:
        namespaces = Namespaces(settings.files)
        try:
            return _several(files, settings, namespaces)
        finally:
            namespaces.leave()
    (file,) = files
    try:
        return _variants(file, settings)
    except _Mistake as mistake:
        return FileRejected(" ".join(str(mistake).split()), file.name)


def _several(
    files: Sequence[FileText], settings: WorkerSettings, namespaces: Namespaces
) -> VersionsFacts | FileRejected:
    versions: list[VersionFacts] = []
    load = 0.0
    for file in files:
        place = namespaces.make(file.name).place
        facts = inspect_user_file(file.text, place, settings.seed, settings.threads, _FOR_A_PLAN)
        if isinstance(facts, FileRejected):
            return FileRejected(facts.message, file.name)
        if versions and facts.device != versions[0].device:
            return FileRejected(
                f"`x` is on {facts.device}, and that of {files[0].name} on {versions[0].device}: expected "
                "one device for all files",
                file.name,
            )
        load += facts.load
        versions.append(
            VersionFacts(
                name=file.name,
                module=True,
                calls=facts.calls,
                trains=facts.trains,
                records="tracked" not in facts.under,
                repeats=facts.repeats,
                shape=facts.shape,
                dtype=facts.dtype,
                device=facts.device,
                result=facts.result,
                coarsest=facts.coarsest,
                parameters=facts.parameters,
                trained=facts.trained,
                forward=facts.forward,
                step=facts.step,
                unevaluated=facts.under.get("no_grad", Under()).raises.replace(
                    "under it", "under torch.no_grad()"
                ),
            )
        )
    return VersionsFacts(tuple(versions), load)


def _variants(file: FileText, settings: WorkerSettings) -> VersionsFacts:
    place = settings.file
    torch.manual_seed(settings.seed)
    begun = time.perf_counter()
    names = _run(lambda: execute(file.text, place, place), "", place)
    load = time.perf_counter() - begun
    if not torch.is_grad_enabled() or torch.is_inference_mode_enabled():
        raise _Mistake("switches gradients off for all that follows: leave that out")
    if torch.get_num_threads() != settings.threads:
        count = torch.get_num_threads()
        raise _Mistake(f"sets torch's threads to {count}: leave that out, and give --threads {count}")
    if not isinstance(names.get("variants"), dict) and "model" in names:
        # The name is the file's own, for something else.
        return VersionsFacts((), load)
    named = _named(names.get("variants"))
    x = _input(names.get("x"))
    for name in ("call", "loss"):
        if name in names and not callable(names[name]):
            raise _Mistake(f"`{name}` is {_kind(names[name])}: expected a function")
    functions = [each for each in named.values() if not isinstance(each, torch.nn.Module)]
    # Of a function nothing but x may have gradients.
    x_requires_grad = bool(functions) and x.is_floating_point()
    versions = [
        _Subject(name, subject, x, names, place, x_requires_grad).facts() for name, subject in named.items()
    ]
    return VersionsFacts(tuple(versions), load, x_requires_grad)


def _named(variants: Any) -> Mapping[str, Any]:
    """The entries of `variants`. Raises _Mistake for what cannot be told apart, or called."""
    if not isinstance(variants, dict):
        raise _Mistake(f"`variants` is {_kind(variants)}: {_WANTED}")
    if len(variants) < 2:
        count = "no entry" if not variants else "one entry"
        raise _Mistake(f"`variants` has {count}: {_WANTED}; one model alone is measured as `model`")
    labels: dict[str, str] = {}
    for name, subject in variants.items():
        if not isinstance(name, str):
            raise _Mistake(f"`variants` has the key {name!r}, {_kind(name)}: expected a str for each")
        label = name.strip().lower()
        if not label or not name.isprintable() or len(name) > LONGEST_NAME:
            raise _Mistake(
                f"`variants` has the key {name[:80]!r}: expected one line of 1 to {LONGEST_NAME} characters "
                "that can be read"
            )
        if name in TAKEN:
            raise _Mistake(
                f"`variants` has the key {name!r}, which every comparison has for itself: name it otherwise"
            )
        if label in labels:
            raise _Mistake(
                f"`variants` has the keys {labels[label]!r} and {name!r}, which read alike: expected names "
                "that can be told apart"
            )
        labels[label] = name
        if isinstance(subject, type) and issubclass(subject, torch.nn.Module):
            raise _Mistake(
                f"variants[{name!r}] is the class {subject.__name__}: expected an object of it; call it once"
            )
        if not callable(subject):
            raise _Mistake(
                f"variants[{name!r}] is {_kind(subject)}: expected a torch.nn.Module or a function of x"
            )
    return variants


def _input(x: Any) -> torch.Tensor:
    """The file's x. Raises _Mistake where no version could work on it."""
    if x is None:
        raise _Mistake("defines no `x`: expected the tensor that goes into every entry of `variants`")
    if not isinstance(x, torch.Tensor):
        raise _Mistake(f"`x` is {_kind(x)}: expected the tensor that goes into every entry of `variants`")
    if x.device.type not in KINDS:
        raise _Mistake(f"`x` is on {x.device}, which there is no clock for: expected {' or '.join(KINDS)}")
    if x.layout != torch.strided or x.is_quantized or x.is_nested:
        raise _Mistake("`x` is a sparse, quantized or nested tensor: expected a plain one")
    if not x.numel():
        raise _Mistake(f"`x` has no elements, its shape is {tuple(x.shape)}: expected some")
    if x.is_inference():
        raise _Mistake("`x` was made in inference mode: make it outside")
    if x.isnan().any():
        raise _Mistake("`x` holds NaN, which no check can tell from another: fill it with numbers")
    return x


class _Subject:
    """An entry of `variants`, ready to be called as a variant of the plan calls it."""

    def __init__(
        self,
        name: str,
        subject: Any,
        x: torch.Tensor,
        names: Mapping[str, Any],
        place: str,
        x_requires_grad: bool,
    ) -> None:
        self._name = name
        self._subject = subject
        self._x = x
        self._module = isinstance(subject, torch.nn.Module)
        self._call: Callable[..., Any] | None = names.get("call") if self._module else None
        self._loss: Callable[..., Any] | None = names.get("loss")
        self._place = place
        self._x_requires_grad = x_requires_grad or x.requires_grad
        key = f"variants[{name!r}]"
        self._named = f"call({key}, x)" if self._call is not None else f"{key}(x)"

    def facts(self) -> VersionFacts:
        """What it is. Raises _Mistake."""
        parameters = list(self._subject.parameters()) if self._module else []
        if any(is_lazy(each) for each in parameters):
            raise _Mistake(
                f"variants[{self._name!r}] has parameters that its first call makes: call it once in the file"
            )
        subject = self._copy()
        unevaluated = ""
        try:
            with torch.no_grad():
                first, _ = self._forward(subject, self._x.detach())
                again, forward = self._forward(subject, self._x.detach())
        except _Raised as raised:
            # It may differentiate inside, and work where it is recorded.
            unevaluated = f"under torch.no_grad() {raised}"
            first, _ = self._forward(subject, self._recorded_x())
            again, forward = self._forward(subject, self._recorded_x())
        if first.shape != again.shape or not _close(first, again):
            raise _Mistake(
                f"{self._named} gives another result at each call, in evaluation mode too: expected the "
                "same; take out randomness and state"
            )
        dtype = str(first.dtype).removeprefix("torch.")
        if dtype not in EPSILON:
            raise _Mistake(f"{self._named} returns {dtype}: expected {', '.join(EPSILON)}")
        if first.isnan().any():
            raise _Mistake(f"the result of {self._named} holds NaN: give x values that it is made for")
        records, trains, repeats, step = self._trained()
        found = {dtype, *(str(each.dtype).removeprefix("torch.") for each in parameters)}
        return VersionFacts(
            name=self._name,
            module=self._module,
            calls=self._call is not None,
            trains=trains,
            records=records,
            repeats=repeats,
            shape=tuple(self._x.shape),
            dtype=str(self._x.dtype).removeprefix("torch."),
            device=str(self._x.device),
            result=dtype,
            coarsest=max((each for each in found if each in EPSILON), key=lambda each: EPSILON[each]),
            parameters=sum(each.numel() for each in parameters),
            trained=sum(each.numel() for each in parameters if each.requires_grad),
            forward=forward,
            step=step,
            unevaluated=" ".join(unevaluated.split()),
        )

    def _recorded_x(self) -> torch.Tensor:
        return self._x.detach().requires_grad_(self._x_requires_grad)

    def _copy(self, evaluated: bool = True) -> Any:
        if not self._module:
            return self._subject
        try:
            copy = share(self._subject)
        except Exception as error:
            raise _Mistake(
                f"variants[{self._name!r}] cannot be copied, and each variant needs flags of its own: "
                f"{type(error).__name__}: {error}"
            ) from None
        return copy.eval() if evaluated else copy

    def _forward(self, subject: Any, x: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Its result, and seconds. Raises _Mistake where that is no tensor, or x was written to."""
        before, version = x.detach().clone(), x._version
        begun = time.perf_counter()
        y = _run(
            lambda: subject(x) if self._call is None else self._call(subject, x), self._named, self._place
        )
        seconds = time.perf_counter() - begun
        if not isinstance(y, torch.Tensor):
            raise _Mistake(f"{self._named} returns {_kind(y)}: expected a tensor")
        if x._version != version or not torch.equal(before, x.detach()):
            raise _Mistake(f"{self._named} writes to x, which all variants share: pass it x.clone()")
        return y, seconds

    def _trained(self) -> tuple[bool, bool, bool, float]:
        """Whether its result records, whether it trains and its loss repeats; seconds of a step."""
        subject = self._copy(evaluated=False)
        x = self._recorded_x()
        y, forward = self._forward(subject, x)
        if not y.requires_grad or self._loss is None:
            return y.requires_grad, False, True, 0.0
        loss, values, seconds = self._loss, [], 0.0
        for _ in range(2):
            y, forward = self._forward(subject, x)
            begun = time.perf_counter()
            value = _run(partial(loss, y), f"loss(y) of variants[{self._name!r}]", self._place)
            if not isinstance(value, torch.Tensor) or value.numel() != 1:
                raise _Mistake(
                    f"loss(y) of variants[{self._name!r}] returns {_kind(value)}: expected a tensor with one "
                    "element, as .mean() makes"
                )
            if not value.requires_grad:
                raise _Mistake(
                    f"loss(y) of variants[{self._name!r}] does not require gradients: expected a loss "
                    "computed from y, undetached"
                )
            if not value.isfinite():
                raise _Mistake(
                    f"loss(y) of variants[{self._name!r}] is {value.item()}: expected a finite one"
                )
            reached = leaves_of(value)
            _run(value.backward, f"the backward of loss(y) of variants[{self._name!r}]", self._place)
            seconds = forward + time.perf_counter() - begun
            for leaf in reached:
                leaf.grad = None
            values.append(value.detach())
        return True, True, torch.equal(*values), seconds


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    if torch.equal(one, other):
        return True
    a, b = one.detach().double(), other.detach().double()
    return bool((a - b).norm() <= 1e-3 * a.norm())


def _kind(value: Any) -> str:
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _run(work: Callable[[], Any], what: str, place: str) -> Any:
    """What the user's code returns. Raises _Raised with its error, and the line of the file it came by."""
    try:
        return work()
    # A SystemExit as well: it must not end the worker without a word.
    except BaseException as error:
        lines = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each.filename == place]
        line = f"line {lines[-1]}" if lines and lines[-1] else ""
        where = f"{what} ({line})" if what and line else what or line or "it"
        words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        # Errors name files in full; here they are the user's own.
        words = words.replace(f"{Path(place).parent}/", "")
        raise _Raised(f"{where} raises {words[:500]}") from None
