"""Compare functions in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from gradbench.guard.calls import expect_callable, expect_number, in_a_line
from gradbench.guard.time import LEAST_MARGIN, InTurns
from gradbench.library.bytes import Bytes
from gradbench.library.bytes import bytes as bytes_of
from gradbench.library.comparison import Comparison, Row, Verdict
from gradbench.library.judge import Judged, judge_turns

Functions = Mapping[str, Callable[..., object]]


def compare(
    functions: Functions,
    setup: Callable[[], object] | None = None,
    seconds: float = 5.0,
    baseline: str | None = None,
    device: object | None = None,
    margin: float = LEAST_MARGIN,
    bytes: bool = True,
    seed: int | None = None,
) -> Comparison:
    """Time functions in turns in this process, and count the bytes of one call of every function.

    A round has, in random order, a batch of calls of every function, a second batch of the baseline, and a
    batch of empty calls. So a slower machine slows all of them down. The second batch of the baseline shows
    how much identical code differs.

    >>> import torch, gradbench
    >>> x = torch.rand(100, requires_grad=True)
    >>> def recorded():
    ...     return (x * x).exp()
    >>> def not_recorded():
    ...     with torch.no_grad():
    ...         return (x * x).exp()
    >>> found = gradbench.compare({"recorded": recorded, "no_grad": not_recorded}, seconds=0.1)
    >>> [row.name for row in found.rows]
    ['recorded', 'no_grad']
    >>> found["recorded"].bytes.saved, found["no_grad"].bytes.saved
    (800, 0)

    `print(found)` and the last line of a notebook's cell show a table. `found.sentence` gives the result in
    words, `found.to_pandas()` is a DataFrame and `found.plot()` draws the ratios.

    Args:
        functions: by name; they are called without arguments.
        setup: called before every call, outside the clock; the function gets its result.
        seconds: time to spend on timing. Counting bytes takes a few further calls of every function.
        baseline: the name of the function in the denominator of the ratios; None is the first.
        device: the device that works after a call has returned, and whose memory is counted, such as
            `cuda:0`. None is the CUDA device that torch uses in this process, if any.
        margin: a smaller difference counts as none; at least 0.02, because identical code may differ by that
            much in one process.
        bytes: whether to count bytes.
        seed: for the random orders; None is a new one.

    Returns:
        A row for every function. A function that raises has a row with its error; an error of the baseline is
        raised.

    Raises:
        TypeError, ValueError: for arguments of a wrong type or value, and a device that cannot be used.
    """
    names = _expect_functions(functions)
    if setup is not None:
        expect_callable("setup", setup)
    expect_number("seconds", seconds, 0.05, "less leaves no round to judge by")
    expect_number("margin", margin, LEAST_MARGIN, "identical code in two places differs by up to that much")
    if not isinstance(bytes, bool):
        raise TypeError(f"expected bytes to be True or False; got {in_a_line(bytes)}; give one of these")
    if baseline is None:
        baseline = names[0]
    elif baseline not in names:
        raise ValueError(
            f"expected baseline to name a function; got {in_a_line(baseline)}; give one of {', '.join(names)}"
        )
    named = None if device is None else str(device)
    others = [name for name in names if name != baseline]
    turns = InTurns(
        [functions[name] for name in others],
        functions[baseline],
        seconds,
        setup=setup,
        device=named,
        keep_errors=True,
    )
    judged = judge_turns(turns, [*others, baseline], margin, seed)
    floor, same = judged.blocks.twin()
    counted = {
        name: count(functions[name], setup, named) if bytes and name in judged.seconds else (None, "")
        for name in names
    }
    return Comparison(
        rows=tuple(_row(name, baseline, judged, counted[name]) for name in names),
        baseline=baseline,
        fastest=next((each for each in judged.seconds if _beats_all(each, judged)), None),
        unbeaten=tuple(
            each
            for each in names
            if each in judged.seconds and not any(judged.beats(other, each) for other in judged.seconds)
        ),
        margin=margin,
        floor=floor,
        same=same,
        empty=judged.blocks.empty,
        rounds=judged.blocks.rounds,
        seconds=judged.spent,
        counted=bytes,
    )


def _beats_all(name: str, judged: Judged) -> bool:
    others = [each for each in judged.seconds if each != name]
    return bool(others) and all(judged.beats(name, other) for other in others)


def count(
    function: Callable[..., object], setup: Callable[[], object] | None, device: str | None
) -> tuple[Bytes | None, str]:
    """The bytes of a call, or why they are not known."""
    # After all these calls torch would be loaded if any of them made a tensor.
    if "torch" not in sys.modules:
        return None, "torch is not loaded in this process"
    try:
        return bytes_of(function, setup, device), ""
    except Exception as error:
        return None, _in_short(error)


def _in_short(error: Exception) -> str:
    """An error in a line: its type, and the beginning of its message."""
    said = " ".join(str(error).split())
    kind = type(error).__name__
    return f"{kind}: {said if len(said) <= _MOST_SAID else f'{said[:_MOST_SAID]}...'}" if said else kind


_MOST_SAID = 200


def _row(name: str, baseline: str, judged: Judged, counted: tuple[Bytes | None, str]) -> Row:
    if name in judged.errors:
        return Row(name, None, None, "failed", error=_in_short(judged.errors[name]))
    verdict: Verdict = judged.relations.get((name, baseline), "cannot tell")
    return Row(
        name,
        judged.seconds[name],
        judged.ratios.get(name),
        "baseline" if name == baseline else verdict,
        *counted,
    )


def _expect_functions(given: object) -> list[str]:
    """The names of the functions. Raises TypeError or ValueError for other values."""
    example = 'give a dict, for example {"a": f, "b": g}'
    if not isinstance(given, Mapping):
        raise TypeError(
            f"expected functions to be a dict of names and functions; got {in_a_line(given)}; {example}"
        )
    for name, function in given.items():
        if not isinstance(name, str) or not name:
            raise TypeError(
                f"expected names to be strings that are not empty; got {in_a_line(name)}; {example}"
            )
        expect_callable(f"the function {name!r}", function)
    if len(given) < 2:
        raise ValueError(f"expected two functions or more; got {len(given)}; {example}")
    return list(given)
