"""The probes: observations of the effect of methods on tensors.

To add a question, add a row to `of_methods` or `of_torch`.
"""

from gradbench.define.probes import of_methods, of_torch
from gradbench.define.probes.probe import Probe

PROBES: tuple[Probe, ...] = (*of_methods.PROBES, *of_torch.PROBES)

__all__ = ["PROBES", "Probe"]
