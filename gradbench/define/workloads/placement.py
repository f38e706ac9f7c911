"""The guide's one-neuron predictor: from scratch in NumPy, and in PyTorch."""

from gradbench.define.workloads.workload import Alternative, Workload, at

WORKLOADS = (
    Workload(
        name="placement",
        title="one epoch of the one-neuron predictor",
        shows="From which number of samples PyTorch's autograd is faster than gradients by hand in NumPy.",
        headline=True,
        imports="from gradbench.placement import (\n    ModulePlacementPredictor, NumpyPlacementPredictor, "
        "TensorPlacementPredictor\n)",
        inputs={"placed": "(base > 0.4).to(base.dtype)"},
        leaf="x = base.detach()",
        baseline="tensors",
        setup='kind = str(x.dtype).removeprefix("torch.")\npredictor = VARIANT\n'
        "data = predictor.prepare(x.cpu().numpy(), placed.cpu().numpy())",
        statement="predictor.epoch(data)",
        result="torch.tensor([float(predictor.weight), float(predictor.bias)], dtype=x.dtype)",
        # From a weight and a bias of 0 every probability is a half.
        answer="0.1 * numpy.array([((placed - 0.5) * x).mean(), (placed - 0.5).mean()])",
        normwise=True,
        roundings=16.0,
        # NumPy and torch add up in blocks, so the error grows far more slowly than the number of terms.
        terms=lambda shape: round(shape[0] ** 0.5),
        sizes={"small": 5, "medium": 10_000, "large": 1_000_000},
        dtypes=("float32", "float64"),
        every=3,
        presets=at(standard="small large"),
        alternatives=(
            Alternative(
                name="tensors",
                label="PyTorch, raw tensors",
                effect="Autograd for the gradients, the update under no_grad(), as the guide writes it.",
                code="TensorPlacementPredictor(learning_rate=0.1, dtype=kind, DEVICE)",
            ),
            Alternative(
                name="module",
                label="PyTorch, nn.Module and SGD",
                effect="A module, the loss from logits, and torch.optim.SGD.",
                code="ModulePlacementPredictor(learning_rate=0.1, dtype=kind, DEVICE)",
            ),
            Alternative(
                name="numpy",
                label="NumPy, from scratch",
                effect="The gradients written by hand, in NumPy; on the CPU, wherever the others are.",
                code="NumpyPlacementPredictor(learning_rate=0.1, dtype=kind)",
                counted=False,
            ),
        ),
    ),
)
