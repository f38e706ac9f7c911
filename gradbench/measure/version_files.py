"""The look at a user's versions in a worker: the facts of each, and every mistake in one line."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from gradbench.define.versions import TAKEN
from gradbench.measure.evaluated import Evaluated
from gradbench.measure.namespaces import Namespaces
from gradbench.measure.protocol import FileRejected, WorkerSettings
from gradbench.measure.subject import Subject
from gradbench.measure.trained import Trained
from gradbench.measure.user_code import Mistake, Raised, kind, run_of_user
from gradbench.measure.user_file import (
    expect_functions,
    expect_input,
    expect_modes,
    facts_of,
    inspect_user_file,
)
from gradbench.measure.variant import execute
from gradbench.models import leaves_of
from gradbench.record.user_file import FileFacts, Under
from gradbench.record.versions import FileText, VersionFacts, VersionsFacts

# The longest name, which must fit into tables and sentences.
LONGEST_NAME = 60
_WANTED = 'expected a dict of two or more, such as variants = {"plain": model_a, "fused": model_b}'
_WANTED_X = "expected the tensor that goes into every entry of `variants`"


def inspect_versions(files: Sequence[FileText], settings: WorkerSettings) -> VersionsFacts | FileRejected:
    """The facts of several files, or of one file's `variants`; FileRejected where they cannot be measured.

    Args:
        files: in order, the baseline first.
        settings: settings of this process, with the paths of the files.
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
    except Mistake as mistake:
        return FileRejected(" ".join(str(mistake).split()), file.name)


def _several(
    files: Sequence[FileText], settings: WorkerSettings, namespaces: Namespaces
) -> VersionsFacts | FileRejected:
    versions: list[VersionFacts] = []
    load = 0.0
    for file in files:
        place = namespaces.make(file.name).place
        facts = inspect_user_file(file.text, place, settings.seed, settings.threads, asked=None)
        if isinstance(facts, FileRejected):
            return FileRejected(facts.message, file.name)
        if versions and facts.device != versions[0].device:
            return FileRejected(
                f"`x` is on {facts.device}, and that of {files[0].name} on {versions[0].device}: expected "
                "one device for all files",
                file.name,
            )
        load += facts.load
        unevaluated = facts.under.get("no_grad", Under()).raises.replace("under it", "under torch.no_grad()")
        versions.append(_version(file.name, facts, True, "tracked" not in facts.under, unevaluated))
    return VersionsFacts(tuple(versions), load)


def _variants(file: FileText, settings: WorkerSettings) -> VersionsFacts:
    place = settings.file
    torch.manual_seed(settings.seed)
    begun = time.perf_counter()
    names = run_of_user(lambda: execute(file.text, place, place), "", place)
    load = time.perf_counter() - begun
    expect_modes(settings.threads)
    if not isinstance(names.get("variants"), dict) and "model" in names:
        # The file uses the name for another object.
        return VersionsFacts((), load)
    named = _named(names.get("variants"))
    x = expect_input(names.get("x"), _WANTED_X)
    expect_functions(names)
    functions = [each for each in named.values() if not isinstance(each, torch.nn.Module)]
    # Only x of a function may have gradients.
    x_requires_grad = bool(functions) and x.is_floating_point()
    versions = []
    for name, entry in named.items():
        try:
            versions.append(_facts(name, entry, x, names, place, x_requires_grad or x.requires_grad))
        except Mistake as mistake:
            key = f"variants[{name!r}]"
            raise mistake if key in str(mistake) else Mistake(f"{key}: {mistake}") from None
    return VersionsFacts(tuple(versions), load, x_requires_grad)


def _named(variants: Any) -> Mapping[str, Any]:
    """The entries of `variants`. Raises Mistake for names that look alike, and for entries without a call."""
    if not isinstance(variants, dict):
        raise Mistake(f"`variants` is {kind(variants)}: {_WANTED}")
    if len(variants) < 2:
        count = "no entry" if not variants else "one entry"
        raise Mistake(f"`variants` has {count}: {_WANTED}; one model alone is measured as `model`")
    labels: dict[str, str] = {}
    for name, subject in variants.items():
        if not isinstance(name, str):
            raise Mistake(f"`variants` has the key {name!r}, {kind(name)}: expected a str for each")
        label = name.strip().lower()
        if not label or not name.isprintable() or len(name) > LONGEST_NAME:
            raise Mistake(
                f"`variants` has the key {name[:80]!r}: expected one line of 1 to {LONGEST_NAME} characters "
                "that can be read"
            )
        if name in TAKEN:
            raise Mistake(
                f"`variants` has the key {name!r}, which every comparison uses for another variant: choose "
                f"another name"
            )
        if label in labels:
            raise Mistake(
                f"`variants` has the keys {labels[label]!r} and {name!r}, which read alike: expected names "
                "that differ in print"
            )
        labels[label] = name
        if isinstance(subject, type) and issubclass(subject, torch.nn.Module):
            raise Mistake(
                f"variants[{name!r}] is the class {subject.__name__}: expected an object of it; call it once"
            )
        if not callable(subject):
            raise Mistake(
                f"variants[{name!r}] is {kind(subject)}: expected a torch.nn.Module or a function of x"
            )
    return variants


def _facts(
    name: str, entry: Any, x: torch.Tensor, names: Mapping[str, Any], place: str, x_requires_grad: bool
) -> VersionFacts:
    """The facts of an entry of `variants`, called as the plan calls it. Raises Mistake."""
    key = f"variants[{name!r}]"
    model = entry if isinstance(entry, torch.nn.Module) else None
    call: Callable[..., Any] | None = None if model is None else names.get("call")
    parameters = [] if model is None else list(model.parameters())
    if any(is_lazy(each) for each in parameters):
        raise Mistake("has parameters that its first call makes: call it once in the file")

    def work(model: torch.nn.Module | None, x: torch.Tensor) -> Any:
        taken = entry if model is None else model
        return taken(x) if call is None else call(taken, x)

    subject = Subject(
        model,
        x.detach().requires_grad_(x_requires_grad),
        work,
        f"{key}(x)" if call is None else f"call({key}, x)",
        place,
        "have it return one",
    )
    first, forward, unevaluated = _evaluated(subject)
    subject.expect_dtype(first)
    if first.isnan().any():
        raise Mistake(f"the result of {subject.named} holds NaN: give x values that it is made for")
    records, trains, repeats, step = _trained(subject, names.get("loss"))
    facts = facts_of(
        subject,
        x,
        Evaluated(first.dtype, forward, long=False),
        Trained(repeats, step),
        parameters=sum(each.numel() for each in parameters),
        trained_parameters=sum(each.numel() for each in parameters if each.requires_grad),
        calls=call is not None,
        trains=trains,
    )
    return _version(name, facts, model is not None, records, " ".join(unevaluated.split()))


def _version(name: str, facts: FileFacts, module: bool, records: bool, unevaluated: str) -> VersionFacts:
    """The observations as `VersionFacts`."""
    return VersionFacts(
        name=name,
        module=module,
        calls=facts.calls,
        trains=facts.trains,
        records=records,
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
        unevaluated=unevaluated,
    )


def _evaluated(subject: Subject) -> tuple[torch.Tensor, float, str]:
    """A result, seconds of a forward, and why torch.no_grad() gives no result; empty where it does."""
    try:
        with torch.no_grad():
            return *_twice(subject, *subject.variant(tracks_x=False)), ""
    except Raised as raised:
        # The entry may differentiate inside, and work only where it is recorded.
        return *_twice(subject, *subject.variant()), f"under torch.no_grad() {raised}"


def _twice(subject: Subject, model: torch.nn.Module | None, x: torch.Tensor) -> tuple[torch.Tensor, float]:
    """A result and the seconds of the second call. Raises Mistake where the calls differ."""
    first = subject.forward(model, x)
    begun = time.perf_counter()
    again = subject.forward(model, x)
    seconds = time.perf_counter() - begun
    subject.expect_same(first, again)
    return first, seconds


def _trained(subject: Subject, loss: Callable[..., Any] | None) -> tuple[bool, bool, bool, float]:
    """Whether its result records, whether it trains and its loss repeats; seconds of a step."""
    model, x = subject.variant(training=True)
    records = subject.forward(model, x).requires_grad
    if not records or loss is None:
        return records, False, True, 0.0
    values, seconds = [], 0.0
    for _ in range(2):
        begun = time.perf_counter()
        value = subject.loss_of(model, x, loss)
        reached = leaves_of(value) if value.requires_grad else ()
        subject.backward(value)
        seconds = time.perf_counter() - begun
        for leaf in reached:
            leaf.grad = None
        values.append(value.detach())
    return True, True, torch.equal(*values), seconds
