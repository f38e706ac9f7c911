"""Rows that other packages add to gradbench's tables, found by their entry points.

A package names an `Extension` in the group `gradbench.extensions`:

    [project.entry-points."gradbench.extensions"]
    mine = "mypackage.gradbench:EXTENSION"

Nothing is loaded when gradbench is imported, and nothing for `--help`. The first command that needs a table
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
    """What a package adds; every row is of the type that gradbench's own rows have.

    Attributes:
        methods: each a `gradbench.define.methods.Method`.
        workloads: each a `gradbench.define.workloads.Workload`.
        claims: each a `gradbench.analyse.claims.Claim`.
        metrics: each a `gradbench.define.metrics.Metric`, with its `measure`.
        exports: forms of `gradbench export`, each a `gradbench.report.export.Form`.
    """

    # The types themselves are defined by modules that import this one.
    methods: tuple[Any, ...] = ()
    workloads: tuple[Any, ...] = ()
    claims: tuple[Any, ...] = ()
    metrics: tuple[Any, ...] = ()
    exports: tuple[Any, ...] = ()


@functools.cache
def extensions() -> dict[str, Extension]:
    """The extensions of this environment, by the package that has them (and the entry point, where several).

    Raises RequestError, which names the package, for one that cannot be loaded or is no Extension.
    """
    # A quarter of the time of a command that only lists names.
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

    Rows of one package may share a name, as the parts of a workload do; the table itself says where not.
    Raises RequestError for a row of another type, and for a name that somebody else has or that is reserved.
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
    """The rows, of which no two have one name. Raises RequestError."""
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
    """The rows that are wanted, in the order of the table; all of them when none is named.

    Raises RequestError for a name that no row has: with the one that was meant, or else with those that are
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
