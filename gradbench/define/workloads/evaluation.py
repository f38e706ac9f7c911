"""Evaluating a model: what people use no_grad() and inference_mode() for."""

from gradbench.define.workloads.workload import Alternative, Workload, at

WIDTH = 64
BATCHES = 16

MODEL = "from gradbench.models import MLP, share"
CLASSES = 10
PERCEPTRON = f"MLP({WIDTH}, 256, {CLASSES}).to({{options}})"
# Each variant has separate parameters on the storage that all share.
MODEL_LEAF = "x = base.detach()\nmodel = share(model)"
SIZES = {"small": 8 * WIDTH, "medium": 128 * WIDTH, "large": 2048 * WIDTH}
MLP_ANSWER = "answers.mlp(x, model)"
# Three layers round, and every layer carries on the error of the layer before.
MLP_ROUNDINGS = 8.0


def rows(numel: int) -> tuple[int, ...]:
    """The shape of a batch of samples of `WIDTH` features whose number of elements is nearest to `numel`."""
    return (max(1, round(numel / WIDTH)), WIDTH)


_PURPOSE = "Evaluate a model"
_EVALUATED = "[model(part) for part in parts]"

WORKLOADS = (
    Workload(
        name="inference",
        title="evaluating a multi-layer perceptron",
        shows="The time and the kept memory of evaluation under each method, where the parameters are "
        "tracked.",
        purpose=_PURPOSE,
        imports=MODEL,
        inputs={"model": PERCEPTRON},
        leaf=MODEL_LEAF,
        on_model=True,
        work="model({x})",
        answer=MLP_ANSWER,
        normwise=True,
        roundings=MLP_ROUNDINGS,
        sizes=SIZES,
        every=3,
        presets=at(standard="small large"),
        shape=rows,
    ),
    Workload(
        name="attention",
        title="evaluating a transformer block",
        shows="Evaluation of a block with many operations and large intermediate results.",
        purpose=_PURPOSE,
        imports="from gradbench.models import TransformerBlock, share",
        inputs={"model": "TransformerBlock(64, 4).to({options})"},
        leaf=MODEL_LEAF,
        on_model=True,
        work="model({x})",
        answer="answers.transformer_block(x, model, 4)",
        normwise=True,
        roundings=MLP_ROUNDINGS,
        sizes={"small": 8 * WIDTH, "medium": 16 * 32 * WIDTH, "large": 64 * 32 * WIDTH},
        every=3,
        presets=at(standard="medium"),
        shape=lambda numel: (max(1, round(numel / WIDTH / 32)), min(32, max(1, round(numel / WIDTH))), WIDTH),
    ),
    Workload(
        name="batch",
        title=f"evaluating {BATCHES} batches, one after another",
        shows="One block around a loop, against a block, or a detach(), for every result.",
        headline=True,
        purpose="Evaluate batch after batch",
        imports=MODEL,
        inputs={"model": PERCEPTRON},
        leaf=MODEL_LEAF,
        setup=f"parts = x.chunk({BATCHES})",
        result="torch.cat(y)",
        answer=MLP_ANSWER,
        normwise=True,
        roundings=MLP_ROUNDINGS,
        sizes=SIZES,
        every=3,
        presets=at(standard="small large"),
        shape=rows,
        alternatives=(
            Alternative(
                name="requires_grad_false",
                label="model.requires_grad_(False)",
                effect="Clears the flag of every parameter, once.",
                setup="model.requires_grad_(False)",
                code=f"y = {_EVALUATED}",
                holds="not y[0].requires_grad",
            ),
            Alternative(
                name="tracked",
                label="recording (no control)",
                effect="Autograd records everything, and keeps it with each result.",
                code=f"y = {_EVALUATED}",
                holds="y[0].requires_grad",
            ),
            Alternative(
                name="no_grad",
                label="one no_grad() around the loop",
                effect="Enters the block once.",
                code=f"with torch.no_grad():\n    y = {_EVALUATED}",
                holds="not y[0].requires_grad",
            ),
            Alternative(
                name="inference_mode",
                label="one inference_mode() around the loop",
                effect="Enters the block once; the results are inference tensors.",
                code=f"with torch.inference_mode():\n    y = {_EVALUATED}",
                holds="y[0].is_inference()",
            ),
            Alternative(
                name="no_grad_each",
                label="a no_grad() for each batch",
                effect="Enters the block for every batch.",
                code="y = []\nfor part in parts:\n    with torch.no_grad():\n        y.append(model(part))",
                holds="not y[0].requires_grad",
            ),
            Alternative(
                name="detach",
                label="detach() on each result",
                effect="Autograd records everything, and detach() drops it again with each result.",
                code="y = [model(part).detach() for part in parts]",
                holds="not y[0].requires_grad",
            ),
            Alternative(
                name="mixed",
                label="detach() on each result, inside one no_grad()",
                effect="One block around the loop, and detach() on each result.",
                code="with torch.no_grad():\n    y = [model(part).detach() for part in parts]",
                holds="not y[0].requires_grad",
            ),
        ),
    ),
)
