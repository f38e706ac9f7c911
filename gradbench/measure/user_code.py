"""Execution of the user's code: its errors as one line, its random numbers, and torch's warnings."""

from __future__ import annotations

import contextlib
import difflib
import os
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

# Torch's warning where a checkpoint cuts the graph.
_CUT = "None of the inputs have requires_grad=True"


class Mistake(Exception):
    """The user's code has a fault; the message is for its author."""


class Raised(Mistake):
    """The user's code raised.

    Attributes:
        what: the call that raised, such as `loss(y)`; empty for the run of the file.
        says: the error.
        line: the line of the user's file in its traceback; None where there is none.
    """

    def __init__(self, what: str, where: str, says: str, line: int | None) -> None:
        super().__init__(f"{where} raises {says}")
        self.what = what
        self.says = says
        self.line = line


def kind(value: Any) -> str:
    """The kind of a value, for a message."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def run_of_user(work: Callable[[], Any], what: str, file: str) -> Any:
    """The result of the user's code. Raises Raised with its error, and the line of the file."""
    try:
        return work()
    # Also catch SystemExit, which must not end the worker silently.
    except BaseException as error:
        lines = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each.filename == file]
        line = f"line {lines[-1]}" if lines and lines[-1] else ""
        where = f"{what} ({line})" if what and line else what or line or "it"
        says = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        # Errors name files by their full path. Here they are the user's files.
        if Path(file).is_absolute():
            says = says.replace(f"{Path(file).parent}/", "")
        says = " ".join(says[:500].split()) + _meant(error)
        raise Raised(what, where, says, lines[-1] if lines else None) from None


def _meant(error: BaseException) -> str:
    """A clause with the name of torch that is near to an unknown one; empty where there is none."""
    name = getattr(error, "name", None)
    owner = getattr(error, "obj", None)
    if not isinstance(error, AttributeError) or not isinstance(name, str):
        return ""
    of_torch = isinstance(owner, torch.Tensor) or (
        isinstance(owner, ModuleType) and owner.__name__.partition(".")[0] == "torch"
    )
    near = difflib.get_close_matches(name, dir(owner), 1) if of_torch else []
    return f"; did you mean {near[0]}?" if near else ""


class Drawn:
    """The states of the generators of random numbers that a model may draw from."""

    def __init__(self) -> None:
        self._begin = self._states()

    def any(self) -> bool:
        """Whether a number has been drawn since this was made."""
        return self._begin != self._states()

    def _states(self) -> list[Any]:
        states = [torch.get_rng_state()]
        if torch.cuda.is_initialized():
            states += torch.cuda.get_rng_state_all()
        numpy = sys.modules.get("numpy")
        others = [] if numpy is None else [repr(numpy.random.get_state())]
        return [*(each.tolist() for each in states), random.getstate(), *others]


@contextlib.contextmanager
def hearing_of_a_cut(cut: list[bool]) -> Iterator[None]:
    """Note whether torch warns that a checkpoint cuts the graph; the warnings still appear."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        yield
    for each in heard:
        cut.append(_CUT in str(each.message))
        sys.stderr.write(warnings.formatwarning(each.message, each.category, each.filename, each.lineno))


# Frames of torch and of gradbench are between a line of the user's file and the called function.
_BETWEEN = tuple(str(Path(each).parent) + os.sep for each in (torch.__file__, Path(__file__).parent))


def callers(file: str) -> Iterator[tuple[str, int]]:
    """The files and lines in execution, the innermost first.

    Files of torch and gradbench are left out, except for the user's file, which may be in their folders.
    """
    for frame, line in traceback.walk_stack(sys._getframe(1)):
        name = frame.f_code.co_filename
        if name == file or not name.startswith(_BETWEEN):
            yield name, line


def calling_line(file: str) -> str:
    """The calling line of the user's file, such as `net.py:3`; empty where another file calls."""
    name, line = next(callers(file), ("", 0))
    return f"{Path(file).name}:{line}" if name == file else ""
