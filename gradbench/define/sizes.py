"""Sizes: the guide's three classes, a number of elements, or a sweep."""

from __future__ import annotations

import math

from gradbench.errors import RequestError

CLASSES = ("small", "medium", "large")

# A float32 tensor of this many elements is 40 GB; a larger request is more often a slip than a wish.
LARGEST = 10**10


def size_class(numel: int) -> str:
    """The class of a tensor of `numel` elements: small < 1,000 <= medium <= 100,000 < large."""
    if numel < 1_000:
        return "small"
    return "medium" if numel <= 100_000 else "large"


def parse_size(text: str) -> list[str | int]:
    """The sizes that `--size` requests: class names as they are, numbers of elements as integers.

    `1:1e7` is a sweep with one size per power of ten; `1:1e7:15` has 15 sizes, evenly spaced in the
    logarithm. Raises RequestError for anything else.
    """
    if text in CLASSES:
        return [text]
    parts = text.split(":")
    if len(parts) == 1:
        return [_elements(text, text)]
    if len(parts) > 3:
        raise _wrong(text)
    first, last = _elements(parts[0], text), _elements(parts[1], text)
    if first >= last:
        raise RequestError(
            f"--size {text}: a sweep goes from fewer elements to more, as in 1:1e7; got {first} to {last}"
        )
    if len(parts) == 3:
        try:
            count = int(parts[2])
        except ValueError:
            raise _wrong(text) from None
        if not 2 <= count <= 200:
            raise RequestError(f"--size {text}: a sweep has 2 to 200 sizes; got {count}")
    else:
        count = max(2, round(math.log10(last / first)) + 1)
    step = math.log(last / first) / (count - 1)
    return sorted({round(first * math.exp(step * i)) for i in range(count)})


def _elements(text: str, whole: str) -> int:
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        raise _wrong(whole) from None
    if not 1 <= value <= LARGEST or value != int(value):
        raise RequestError(
            f"--size {whole}: expected a whole number of elements from 1 to {LARGEST:,}; got {text}"
        )
    return int(value)


def _wrong(text: str) -> RequestError:
    return RequestError(
        f"--size {text}: expected small, medium, large, a number of elements (1e6) or a sweep (1:1e7); "
        f"got {text!r}"
    )
