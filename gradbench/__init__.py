"""gradbench: what each way of controlling gradients in PyTorch costs, measured on your own machine.

Importing this package does not import torch; only the worker processes that measure do.
"""

__version__ = "0.1.0"
