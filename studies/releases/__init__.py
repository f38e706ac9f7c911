"""The cost of gradient control from one release of PyTorch to the next, by `gradbench versus`."""
