"""What gradient control costs from one release of PyTorch to the next, by `gradbench versus`."""
