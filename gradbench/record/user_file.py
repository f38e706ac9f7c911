"""What a file with a model of the user's defines, as far as a plan needs to know."""

from __future__ import annotations

import msgspec


class FileFacts(msgspec.Struct, frozen=True, tag="file_facts"):
    """What a file of the user's defines, as far as a plan needs to know.

    Attributes:
        shape, dtype, device: of x.
        result: dtype of the model's result.
        coarsest: of the dtypes of the parameters and of the result, the one with the fewest digits.
        parameters: their elements; a tied parameter counts once.
        trained: of these, the elements that require gradients.
        calls: whether it defines `call`.
        trains: whether it defines `loss`.
        repeats: whether the loss is the same from call to call.
        load, forward, step: seconds that it took to run the file, one tracked evaluation, and one training
            step: rough, from one execution.
    """

    shape: tuple[int, ...]
    dtype: str
    device: str
    result: str
    coarsest: str
    parameters: int
    trained: int
    calls: bool
    trains: bool
    repeats: bool
    load: float
    forward: float
    step: float
