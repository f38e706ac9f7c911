"""The user's code, executed: its errors as one line, the random numbers it draws, what torch warns of."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

# What torch warns of where a checkpoint cuts the graph.
_CUT = "None of the inputs have requires_grad=True"


class Mistake(Exception):
    """What is wrong with the user's code; the message is for its author."""


class Raised(Mistake):
    """The user's code raised.

    Attributes:
        what: was called, such as `loss(y)`; empty where the file was run.
        says: the error.
        line: of the user's file, that it came by; None where it came by none.
    """

    def __init__(self, what: str, where: str, says: str, line: int | None) -> None:
        super().__init__(f"{where} raises {says}")
        self.what = what
        self.says = says
        self.line = line


def kind(value: Any) -> str:
    """What a value is, for a message."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def run_of_user(work: Callable[[], Any], what: str, file: str) -> Any:
    """What the user's code returns. Raises Raised with its error, and the line of the file it came by."""
    try:
        return work()
    # A SystemExit as well: it must not end the worker without a word.
    except BaseException as error:
        lines = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each.filename == file]
        line = f"line {lines[-1]}" if lines and lines[-1] else ""
        where = f"{what} ({line})" if what and line else what or line or "it"
        says = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        # Errors name files in full; here they are the user's own.
        if Path(file).is_absolute():
            says = says.replace(f"{Path(file).parent}/", "")
        says = " ".join(says[:500].split())
        raise Raised(what, where, says, lines[-1] if lines else None) from None


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
    """Note whether torch warns that a checkpoint cuts the graph; the warnings are given all the same."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        yield
    for each in heard:
        cut.append(_CUT in str(each.message))
        sys.stderr.write(warnings.formatwarning(each.message, each.category, each.filename, each.lineno))


# Frames of torch and of gradbench stand between a line of the user's and what it calls.
_BETWEEN = tuple(str(Path(each).parent) + os.sep for each in (torch.__file__, Path(__file__).parent))


def callers(file: str) -> Iterator[tuple[str, int]]:
    """The files and lines that are being executed, the innermost first.

    Torch's and gradbench's are left out, but for the user's file, which may lie in a folder of theirs.
    """
    for frame, line in traceback.walk_stack(sys._getframe(1)):
        name = frame.f_code.co_filename
        if name == file or not name.startswith(_BETWEEN):
            yield name, line


def calling_line(file: str) -> str:
    """The line of the user's file that calls, such as `net.py:3`; empty where another file calls."""
    name, line = next(callers(file), ("", 0))
    return f"{Path(file).name}:{line}" if name == file else ""
