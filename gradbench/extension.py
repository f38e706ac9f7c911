"""Rows that other packages add to gradbench's tables, found by their entry points.

A package names an `Extension` in the group `gradbench.extensions`:

    [project.entry-points."gradbench.extensions"]
    mine = "mypackage.gradbench:EXTENSION"

Neither the import of gradbench nor `--help` loads an extension. The first command that needs a table
loads the extensions of this environment, once. docs/extending.md has a complete example.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gradbench.errors import RequestError

GROUP = "gradbench.extensions"

Row = TypeVar("Row")

# Lists on the command line have commas between names, and ids of comparisons have slashes and dots.
_NAME, _CLAIM = re.compile(r"\w[\w-]*"), re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Extension:
    """The rows that a package adds; they have the types of gradbench's rows.

    Attributes:
        methods: rows of type `gradbench.define.methods.Method`.
        workloads: rows of type `gradbench.define.workloads.Workload`.
        claims: rows of type `gradbench.analyse.claims.Claim`.
        metrics: rows of type `gradbench.define.metrics.Metric`, with a `measure`.
        exports: forms of `gradbench export`, of type `gradbench.report.export.Form`.
    """

    # Modules that import this one define the types.
    methods: tuple[Any, ...] = ()
    workloads: tuple[Any, ...] = ()
    claims: tuple[Any, ...] = ()
    metrics: tuple[Any, ...] = ()
    exports: tuple[Any, ...] = ()


@functools.cache
def extensions() -> dict[str, Extension]:
    """The extensions of this environment, by package (and by entry point, where a package has several).

    Raises RequestError, which names the package, for one that cannot be loaded or is no Extension.
    """
    # This import takes a quarter of the time of a command that only lists names.
    from importlib.metadata import entry_points

    found: dict[str, Extension] = {}
    for point in sorted(set(entry_points(group=GROUP)), key=lambda point: (point.name, point.value)):
        package = point.dist.name if point.dist is not None else point.value
        try:
            loaded = point.load()
        except (Exception, SystemExit) as error:
            raise _refused(package, f"cannot be loaded: {type(error).__name__}: {error}") from None
        if not isinstance(loaded, Extension):
            raise _refused(package, f"expected {point.value} to be an Extension; got {_type(loaded)}")
        found[f"{package} ({point.name})" if package in found else package] = loaded
    return found


def extended(
    table: str, own: Sequence[Row], name: Callable[[Row], str], reserved: Sequence[str] = ()
) -> tuple[Row, ...]:
    """Gradbench's rows of a table, and after them those of the extensions.

    Rows of one package may share a name, as the parts of a workload do; the table itself may forbid that.
    Raises RequestError for a row of another type, and for a name that is taken or reserved.
    """
    kind = type(own[0])
    taken = {**dict.fromkeys(map(name, own), "gradbench"), **dict.fromkeys(reserved, "gradbench")}
    rows = list(own)
    for package, extension in extensions().items():
        added: tuple[Any, ...] = getattr(extension, table)
        if not isinstance(added, tuple):
            raise _refused(package, f"expected {table} in a tuple; got {_type(added)}")
        for row in added:
            if not isinstance(row, kind):
                raise _refused(package, f"expected {table} that are a {kind.__name__}; got {_type(row)}")
            if not (_CLAIM if table == "claims" else _NAME).fullmatch(name(row)):
                raise _refused(package, f"{table} have names of letters, digits, _ and -; got {name(row)!r}")
            holder = taken.setdefault(name(row), package)
            if holder != package:
                raise _refused(package, f"{name(row)!r} in its {table} is a name that {holder} has already")
        rows += added
    return tuple(rows)


def distinct(table: str, rows: Sequence[Row], name: Callable[[Row], str]) -> tuple[Row, ...]:
    """The same rows. Raises RequestError where two have one name."""
    names = [name(row) for row in rows]
    twice = next((each for each in names if names.count(each) > 1), None)
    if twice is not None:
        raise RequestError(f"an extension has {twice!r} twice in its {table}; rename one, or uninstall it")
    return tuple(rows)


def choose(
    option: str,
    wanted: Sequence[str],
    rows: Sequence[Row],
    name: Callable[[Row], str],
    fitting: Sequence[str] | None = None,
) -> list[Row]:
    """The rows with these names, in the order of the table; all of them without names.

    Raises RequestError
    for a name that no row has. The message suggests the nearest name, or else lists the names that are
    `fitting` here.
    """
    known = {name(row): row for row in rows}
    for each in wanted:
        if each not in known:
            near = difflib.get_close_matches(each, fitting or known, 1) or difflib.get_close_matches(
                each, known, 1
            )
            raise RequestError(
                f"{option} {each}: "
                + (
                    f"there is no such name; did you mean {near[0]}?"
                    if near
                    else f"expected one of {', '.join(fitting or known)}"
                )
            )
    return [row for key, row in known.items() if not wanted or key in wanted]


def _refused(package: str, why: str) -> RequestError:
    line = " ".join(why.split())
    return RequestError(f"the extension of the package {package}: {line}; mend it, or uninstall {package}")


def _type(value: object) -> str:
    return type(value).__name__
