"""Guards of memory: this keeps no more than N bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict

import msgspec

from gradbench.guard.calls import call_once, expect_callable

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from gradbench.measure.memory import Counted


class Bytes(msgspec.Struct, frozen=True):
    """The memory of tensors in a call, exact. Tensors from before count only in `standing`.

    Attributes:
        device: whose memory it is: `cpu`, or such as `cuda:0`, as torch's allocator counts what it is asked
            for there. `saved` is of storages wherever they are.
        allocated: sum of all allocations.
        peak: most live at once.
        retained: live after the call with its result held, the graph of the result included.
        saved: unique storages that the graph keeps for backward, inputs among them; None where no hook sees
            them, as under torch.func.
        standing: of `peak` and `retained`, gradients that the call before left, and that this call clears,
            replaces or adds to.
        left: what each call adds to what stays when its result has been let go of, as in a list.
        threads: that worked, the caller's among them; with more than one, how they meet decides `peak`.
    """

    allocated: int
    peak: int
    retained: int
    saved: int | None
    device: str = "cpu"
    standing: int = 0
    left: int = 0
    threads: int = 1


class Limits(TypedDict, total=False):
    """The figures of `Bytes` that can be limited, in bytes; None is no limit."""

    retained: int | None
    saved: int | None
    peak: int | None
    allocated: int | None


# Their names, in the order in which messages have them.
FIGURES = tuple(Limits.__annotations__)


class BytesFound(msgspec.Struct, frozen=True):
    """The memory of a call, and its limits.

    Attributes:
        most: by the names of `Bytes`, those that were limited.
    """

    bytes: Bytes
    most: dict[str, int]

    @property
    def figures(self) -> dict[str, int | None]:
        """Every figure that can be limited, in bytes; None for what is not seen, which has no limit."""
        return {name: getattr(self.bytes, name) for name in FIGURES}

    @property
    def exceeded(self) -> dict[str, int]:
        """The figures that are more than was allowed."""
        return {name: value for name, value in self._limited.items() if value > self.most[name]}

    @property
    def _limited(self) -> dict[str, int]:
        return {name: value for name in self.most if (value := self.figures[name]) is not None}

    @property
    def sentence(self) -> str:
        """The figure for each limit, or for the exceeded limits."""
        found = self._limited
        where = "" if self.bytes.device == "cpu" else f" on {self.bytes.device}"
        return "; ".join(
            f"bytes {name}{where}: {found[name]:,}, at most {self.most[name]:,} allowed"
            for name in self.exceeded or self.most
        )

    def check(self) -> None:
        """Raise AssertionError where a limit is exceeded."""
        __tracebackhide__ = True
        if self.exceeded:
            raise AssertionError(self.sentence)


def measure_bytes(
    function: Callable[..., object],
    *,
    setup: Callable[[], object] | None = None,
    device: str | None = None,
) -> Bytes:
    """The bytes of one call of a function, from a few calls that must agree. Imports torch.

    With `setup` it is called before each call, and what it returns is passed; it is not counted.

    Args:
        device: whose memory is counted. None is the CUDA device that torch uses in this process, if the call
            allocates there, and else the CPU.

    Raises:
        TypeError, ValueError: for what cannot be called, and for a device that cannot be used or guessed.
        gradbench.measure.memory.Unrepeatable: where two calls differ, as those of a function that has not
        warmed up. gradbench.measure.memory.Uncounted: where the allocator of the device does not count what
        it is asked for. gradbench.measure.threads.Unseen: where a thread worked that cannot be watched. The
        call did not start that thread, and no executor of concurrent.futures gives it work.
    """
    __tracebackhide__ = True
    expect_callable("function", function)
    from gradbench.measure.clock import in_use
    from gradbench.measure.memory import measure_call

    # A device is in use from its first use on, which may be in here.
    call_once(function, setup, device)
    accelerators = in_use(device)
    if len(accelerators) > 1:
        names = ", ".join(each.device for each in accelerators)
        raise ValueError(f"expected one device in use; got {names}; say whose bytes are meant with device=")
    for each in accelerators:
        found = _bytes(*measure_call(function, setup, each), each.device)
        # Another test may have used the device, and this call may have nothing to do with it.
        if found.allocated or device is not None:
            return found
    return _bytes(*measure_call(function, setup), "cpu")


def _bytes(counted: Counted, saved: int | None, device: str) -> Bytes:
    return Bytes(
        allocated=counted.allocated,
        peak=counted.peak,
        retained=counted.retained,
        saved=saved,
        device=device,
        standing=counted.standing,
        left=counted.left,
        threads=counted.threads,
    )


def limit_bytes(
    function: Callable[..., object],
    *,
    setup: Callable[[], object] | None = None,
    device: str | None = None,
    **limits: Unpack[Limits],
) -> BytesFound:
    """As `measure_bytes`, with what is allowed (see `Limits`).

    Raises as that does; TypeError for a limit of anything else; ValueError without any, or with one on
    `saved` where that is not seen.
    """
    __tracebackhide__ = True
    for name in limits:
        if name not in FIGURES:
            raise TypeError(
                f"expected a limit of {', '.join(FIGURES)}; got {name}; give one of these, in bytes"
            )
    most: dict[str, int] = {}
    for name in FIGURES:
        limit: object = limits.get(name)
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise ValueError(f"expected {name} in whole bytes, 0 or more; got {limit!r}; give such a number")
        most[name] = limit
    if not most:
        raise ValueError(f"expected a limit; got none; give one of {', '.join(FIGURES)}, in bytes")
    found = measure_bytes(function, setup=setup, device=device)
    if "saved" in most and found.saved is None:
        raise ValueError(
            "expected a call whose saved bytes are seen; got one that works under no saved-tensor hooks, as "
            "torch.func does, or in a thread that was there before: limit retained, peak or allocated"
        )
    return BytesFound(found, most)


def assert_bytes_at_most(
    function: Callable[..., object],
    *,
    setup: Callable[[], object] | None = None,
    device: str | None = None,
    **limits: Unpack[Limits],
) -> BytesFound:
    """Fail where a call keeps, needs or allocates more bytes than is allowed.

    The limits are `retained`, `saved`, `peak` and `allocated`, in bytes (see `Bytes`); the other arguments
    are those of `measure_bytes`.
    """
    __tracebackhide__ = True
    found = limit_bytes(function, setup=setup, device=device, **limits)
    found.check()
    return found
