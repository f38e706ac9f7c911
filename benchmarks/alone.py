"""asv's timing, one process after another: for a second look, not to judge by.

The benchmarks run the same
code as gradbench: the variant's text, by `gradbench.measure.variant`. `setup` imports torch, since asv
imports this file once for each cell of the suite.
"""

from __future__ import annotations

import statistics
from typing import Any

from .cells import CONTROLS, LARGE, SQUARE, Cells


class _Alone:
    param_names = ("cell", "variant")
    cells: Cells

    def setup(self, cell: str, variant: str) -> None:
        import torch

        from gradbench.measure.variant import ReadyVariant, prepare

        torch.set_num_threads(1)
        comparison, wanted = self.cells.variant(cell, variant)
        self.variant = ReadyVariant(wanted, prepare(comparison))


class _Timed(_Alone):
    """Seconds per call.

    The variant reads the clock, since the setup of a call is not part of the time. `timer` adds up its
    readings. A process gives one sample, the median of a hundred batches, and asv's eight rounds are eight
    fresh processes. Samples of one process are not independent, and asv's test would take them as
    independent. With fewer than seven samples its Mann-Whitney test, at p < 0.002, cannot find anything.
    """

    rounds, repeat, number, warmup_time = 8, 1, 1, 0

    def setup(self, cell: str, variant: str) -> None:
        super().setup(cell, variant)
        self.seconds = 0.0
        self.calls = 1
        while self.variant.batch(self.calls) < 200_000:
            self.calls *= 2

    def timer(self) -> float:
        return self.seconds

    def time_call(self, cell: str, variant: str) -> None:
        batches = [self.variant.batch(self.calls) for _ in range(100)]
        self.seconds += statistics.median(batches) / self.calls / 1e9


class Square(_Timed):
    """x² as a Function of this project."""

    cells = SQUARE
    params = (["square.forward/10000", "square.backward/10000"], SQUARE.variants)


class Controls(_Timed):
    """torch's methods to control gradients."""

    cells = CONTROLS
    params = (["chain/100"], ["tracked", "no_grad"])


class Large(_Alone):
    """Resident memory of the whole process at its peak: Python, torch, 40 MB for each tensor."""

    cells = LARGE
    params = LARGE.params

    def peakmem_call(self, cell: str, variant: str) -> None:
        self.variant.run()


class Kept(_Alone):
    """Bytes that one forward saves for its backward, counted by another method than `track_saved`.

    asv counts
    the bytes of a copied Python object, and does not see a tensor's storage. So this packs the storages in
    one array, whose header (some 100 bytes) is in the figure.
    """

    cells = SQUARE
    params = (["square.forward/100"], SQUARE.variants)

    def mem_saved(self, cell: str, variant: str) -> Any:
        import numpy
        import torch

        storages: dict[int, torch.UntypedStorage] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            self.variant.run()
        return numpy.concatenate(
            [numpy.array(storage.tolist(), numpy.uint8) for storage in storages.values()]
        )
