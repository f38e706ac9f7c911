"""The user's versions, files or the `variants` of one: read here, and inspected in a worker."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gradbench.define.versions import plan_versions
from gradbench.define.workloads import versions as own
from gradbench.errors import RequestError
from gradbench.measure.process import WorkerLost, ask_fresh
from gradbench.measure.protocol import FileRejected, Task, WorkerSettings
from gradbench.measure.user_model import UserModel, inspect_file, read
from gradbench.record.plan import USER_MODEL, Request
from gradbench.record.versions import FileText, VersionsFacts


@dataclass(frozen=True)
class UserVersions(UserModel):
    """The user's versions, and the plan for them; `file` is the first file.

    Attributes:
        files: for several files, the path of each by name.
    """

    files: dict[str, Path] = field(default_factory=dict)


def plan_user_versions(
    paths: Sequence[Path], methods: tuple[str, ...], seed: int, preset: str, threads: int
) -> UserVersions | None:
    """Read files, let a worker look at them, and plan their comparison.

    None for one file that defines no dict `variants`. Raises RequestError in one line for any fault.
    """
    if len(paths) > 1:
        _refuse_methods(methods, "several files are")
        _expect_distinct(paths)
    texts = [read(path) for path in paths]
    if len(paths) == 1 and not defines_variants(texts[0]):
        return None
    places = dict(zip(labels(paths), paths, strict=True))
    files = tuple(FileText(name, text) for name, text in zip(places, texts, strict=True))
    facts = _inspect(files, places, seed, threads)
    if not facts.versions:
        return None
    _refuse_methods(methods, "the entries of `variants` are")
    first = facts.versions[0]
    request = Request((USER_MODEL,), (), (), first.device, first.result, seed, preset)
    plan = plan_versions(files, facts, request)
    calls = {
        each.id: max(version.step if each.part == own.STEP else version.forward for version in facts.versions)
        for each in plan.comparisons
    }
    return UserVersions(
        file=paths[0],
        plan=plan,
        request=request,
        load=facts.load,
        calls=calls,
        files=places if len(paths) > 1 else {},
    )


def _refuse_methods(methods: tuple[str, ...], what: str) -> None:
    if methods:
        raise RequestError(
            f"--method {','.join(methods)}: methods are for one model, and here {what} compared; "
            "leave --method out, or give one file that defines `model`"
        )


def _expect_distinct(paths: Sequence[Path]) -> None:
    for place, path in enumerate(paths):
        for other in paths[:place]:
            if path == other or (path.exists() and other.exists() and path.samefile(other)):
                raise RequestError(
                    f"{path}: is given twice: expected different files to compare; leave one out, or "
                    "copy it under another name"
                )


def labels(paths: Sequence[Path]) -> list[str]:
    """For each of several files the shortest end of its path that no other file has.

    >>> labels([Path("a/net.py"), Path("b/net.py"), Path("b/wide.py")])
    ['a/net.py', 'b/net.py', 'wide.py']
    """
    parts = [Path(os.path.abspath(path)).parts for path in paths]  # noqa: PTH100 -- links keep their names
    found = []
    for each in parts:
        others = [other for other in parts if other is not each]
        length = 1
        while length < len(each) and any(other[-length:] == each[-length:] for other in others):
            length += 1
        found.append("/".join(each[-length:]))
    return found


def defines_variants(text: str) -> bool:
    """Whether the top level of a file binds the name `variants`, as far as its text shows."""

    def binds(nodes: Sequence[ast.AST]) -> Iterator[bool]:
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
                continue
            if isinstance(node, ast.Name):
                yield node.id == "variants" and isinstance(node.ctx, ast.Store)
            elif isinstance(node, ast.alias):
                yield (node.asname or node.name) in ("variants", "*")
            else:
                yield from binds(list(ast.iter_child_nodes(node)))

    return any(binds(ast.parse(text).body))


def _inspect(files: tuple[FileText, ...], places: dict[str, Path], seed: int, threads: int) -> VersionsFacts:
    """The facts of the files from a worker. Raises RequestError with their faults."""
    first, *others = places.values()
    settings = WorkerSettings(
        0,
        "memory",
        seed,
        threads,
        file=str(first.absolute()),
        files={name: str(place.absolute()) for name, place in places.items()} if others else {},
    )
    try:
        message = ask_fresh(settings, Task(None, 0.0, versions=files))
    except WorkerLost as lost:
        for file in files if others else ():
            # A file that ends the worker does so alone as well, and then the message has its name.
            inspect_file(places[file.name], file.text, seed, threads)
        named = ", ".join(map(str, places.values()))
        alone = f"python {first.name}" + (", and the others" if others else "")
        raise RequestError(f"{named}: cannot be measured: {lost}; check that it runs: {alone}") from None
    if isinstance(message, FileRejected):
        raise RequestError(f"{places[message.file]}: {message.message}")
    assert isinstance(message, VersionsFacts)
    return message
