"""Triton's interpreter: kernels run on the CPU, by NumPy."""

import importlib
import importlib.util

import pytest

TRUNCATES = "Triton's interpreter cuts bfloat16 off where a device rounds it"


def interpreted_kernels():
    """A copy of `gradbench.functions.triton_kernels` for tensors on the CPU; the module stays as it is."""
    found = importlib.util.find_spec("gradbench.functions.triton_kernels")
    spec = importlib.util.spec_from_file_location("interpreted_kernels", found.origin)
    module = importlib.util.module_from_spec(spec)
    # Triton's own functions stay as they are: some releases refuse to be imported otherwise.
    importlib.import_module("triton.experimental.gluon")
    with pytest.MonkeyPatch.context() as patch:
        # Triton asks when a kernel is decorated.
        patch.setenv("TRITON_INTERPRET", "1")
        spec.loader.exec_module(module)
    return module
