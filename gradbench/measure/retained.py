"""A trial of a user's code for a backward that keeps its graph, where no second backward comes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from gradbench import format
from gradbench.measure.memory import Unrepeatable, measure_call
from gradbench.measure.user_code import calling_line
from gradbench.record.user_file import Fault


def retained_without_use(call: Callable[[], Any], file: str) -> list[Fault]:
    """Lines of the file that keep a graph for a second backward, where the call works without that.

    The price is the difference of the peaks. The trial leaves alone a graph that is made to be
    differentiated.
    """
    with _backwards(file, lambda _: False) as lines:
        call()
    faults = []
    for line in dict.fromkeys(lines):
        try:
            with _backwards(file, lambda at, line=line: at == line):  # type: ignore[misc]
                call()
                without, _ = measure_call(lambda: call() and None)
            kept, _ = measure_call(lambda: call() and None)
        except (RuntimeError, Unrepeatable):
            # The code uses the graph after all, or the trial has no result.
            continue
        more = kept.peak - without.peak
        price = f" for {format.size(more)} more at the peak" if more > 0 else ""
        faults.append(
            Fault(
                "graph kept without use",
                f"this backward keeps its graph{price}, and no second one follows: leave retain_graph=True "
                "out",
                line,
                bytes=max(more, 0),
            )
        )
    return faults


@contextmanager
def _backwards(file: str, dropped: Callable[[str], bool]) -> Iterator[list[str]]:
    """The lines of the file that retain a graph, within. A backward of a `dropped` line releases it."""
    lines: list[str] = []
    before = torch.autograd.backward, torch.autograd.grad

    def watched(run: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(run)

        def backward(*arguments: Any, **options: Any) -> Any:
            line, asked = calling_line(file), signature.bind(*arguments, **options)
            if line and asked.arguments.get("retain_graph") and not asked.arguments.get("create_graph"):
                lines.append(line)
                if dropped(line):
                    asked.arguments["retain_graph"] = False
            return run(*asked.args, **asked.kwargs)

        return backward

    torch.autograd.backward, torch.autograd.grad = watched(before[0]), watched(before[1])
    try:
        yield lines
    finally:
        torch.autograd.backward, torch.autograd.grad = before
