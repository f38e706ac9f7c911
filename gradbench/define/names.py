"""Choosing rows of a table by the names that a user gives."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import TypeVar

from gradbench.errors import RequestError

T = TypeVar("T")


def choose(
    option: str,
    wanted: Sequence[str],
    rows: Sequence[T],
    name: Callable[[T], str],
    fitting: Sequence[str] | None = None,
) -> list[T]:
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
