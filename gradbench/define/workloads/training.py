"""Training: freezing a backbone, making a target, updating parameters, clearing gradients."""

from dataclasses import replace

from gradbench.define.workloads.evaluation import (
    CLASSES,
    MLP_ANSWER,
    MLP_ROUNDINGS,
    MODEL,
    MODEL_LEAF,
    PERCEPTRON,
    SIZES,
    rows,
)
from gradbench.define.workloads.workload import LEAF, Alternative, Workload, at

_NO_GRADIENTS = "for parameter in model.parameters():\n    parameter.grad = None\n"
# A step writes to the parameters, so each variant has a copy.
_OWN_MODEL = "x = base.detach()\nmodel = copy.deepcopy(model)"
_LOSS = "loss = F.cross_entropy(model.head(features), labels)"
_BACKBONE_FREE = "all(parameter.grad is None for parameter in model.backbone.parameters())"
_FREEZE_BACKBONE = "model.backbone.requires_grad_(False)"

_FREEZE = Workload(
    name="freeze",
    part="forward",
    title="training a head on a frozen backbone: forward",
    shows="Three ways to keep a backbone as it is while a head is trained: whether they cost the same.",
    imports=f"import copy\nimport torch.nn.functional as F\n{MODEL}",
    inputs={
        "model": PERCEPTRON,
        "labels": f"torch.arange({{shape}}[0], DEVICE) % {CLASSES}",
    },
    leaf=MODEL_LEAF,
    statement=f"VARIANT\n{_LOSS}",
    result="loss",
    answer=f"answers.cross_entropy({MLP_ANSWER}, labels)",
    normwise=True,
    roundings=2 * MLP_ROUNDINGS,
    sizes=SIZES,
    every=3,
    presets=at(standard="medium"),
    shape=rows,
    alternatives=(
        Alternative(
            name="requires_grad_false",
            label="backbone.requires_grad_(False)",
            effect="Clears the flags of the backbone's parameters, once.",
            source="https://docs.pytorch.org/docs/stable/notes/autograd.html#setting-requires-grad",
            setup=_FREEZE_BACKBONE,
            code="features = model.backbone(x)",
            holds=_BACKBONE_FREE,
        ),
        Alternative(
            name="tracked",
            label="nothing frozen",
            effect="Trains the backbone as well.",
            code="features = model.backbone(x)",
        ),
        Alternative(
            name="no_grad",
            label="features under no_grad()",
            effect="Autograd does not record the backbone's forward.",
            code="with torch.no_grad():\n    features = model.backbone(x)",
            holds=_BACKBONE_FREE,
        ),
        Alternative(
            name="detach",
            label="features detached",
            effect="Autograd records the backbone's forward, and detach() drops the record.",
            code="features = model.backbone(x).detach()",
            holds=_BACKBONE_FREE,
        ),
    ),
)


_HEAD_GRADIENT = "answers.mlp_head_gradient(x, model, labels)"
# After a backward, the alternative without freezing must have given the backbone gradients.
_TRAINED = tuple(
    replace(each, holds=f"not {_BACKBONE_FREE}") if each.name == "tracked" else each
    for each in _FREEZE.alternatives
)

_DISCOUNT = 0.9
_TEACHER_FREE = "all(parameter.grad is None for parameter in teacher.parameters())"

_SGD = "optimizer = torch.optim.SGD(parameters, lr=0.001"

_USES = (
    _FREEZE,
    replace(
        _FREEZE,
        part="backward",
        title="training a head on a frozen backbone: backward",
        setup_per_call=f"{_NO_GRADIENTS}VARIANT\n{_LOSS}",
        statement="loss.backward()",
        result="model.head.weight.grad",
        answer=_HEAD_GRADIENT,
        alternatives=_TRAINED,
    ),
    replace(
        _FREEZE,
        part="step",
        title="training a head on a frozen backbone: the optimizer's step",
        leaf=_OWN_MODEL,
        setup=f"VARIANT\n{_LOSS}\nloss.backward()\n"
        "trained = [parameter for parameter in model.parameters() if parameter.grad is not None]\n"
        "optimizer = torch.optim.SGD(trained, lr=1e-4)",
        statement="optimizer.step()",
        result="model.head.weight.detach()",
        answer=f'model["head.weight"] - 1e-4 * {_HEAD_GRADIENT}',
        alternatives=_TRAINED,
    ),
    replace(
        _FREEZE,
        part="training",
        title="training a head on a frozen backbone: a whole step",
        headline=True,
        purpose="Train a head on a frozen backbone",
        leaf=_OWN_MODEL,
        setup="optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)",
        statement=f"VARIANT\n{_LOSS}\nloss.backward()\noptimizer.step()\noptimizer.zero_grad()",
        timeline=True,
    ),
    Workload(
        name="target",
        title="a bootstrap target from a second network",
        shows="A target that must pass no gradient on: the price of each method that cuts it off, forward "
        "and "
        "backward together.",
        headline=True,
        purpose="Make a training target",
        imports=f"import torch.nn.functional as F\n{MODEL}",
        inputs={
            "model": PERCEPTRON,
            "teacher": PERCEPTRON,
            "reward": f"torch.rand(({{shape}}[0], {CLASSES}), {{options}})",
        },
        leaf=f"{MODEL_LEAF}\nteacher = share(teacher)",
        setup_per_call="for parameter in (*model.parameters(), *teacher.parameters()):\n"
        "    parameter.grad = None",
        statement="VARIANT\nloss = (model(x) - target).pow(2).mean()\nloss.backward()",
        result="model.head.bias.grad",
        answer=f"2 * (answers.mlp(x, model) - reward - {_DISCOUNT} * answers.mlp(x, teacher)).sum(0) "
        "/ reward.size",
        normwise=True,
        roundings=2 * MLP_ROUNDINGS,
        terms=lambda shape: shape[0],
        sizes=SIZES,
        every=3,
        presets=at(standard="medium"),
        shape=rows,
        alternatives=(
            Alternative(
                name="requires_grad_false",
                label="teacher.requires_grad_(False)",
                effect="Clears the teacher's flags, once.",
                code=f"target = reward + {_DISCOUNT} * teacher(x)",
                setup="teacher.requires_grad_(False)",
                holds=_TEACHER_FREE,
            ),
            Alternative(
                name="tracked",
                label="target tracked",
                effect="Does not cut the target off: the teacher gets unwanted gradients.",
                code=f"target = reward + {_DISCOUNT} * teacher(x)",
                holds=f"not {_TEACHER_FREE}",
            ),
            Alternative(
                name="no_grad",
                label="target under no_grad()",
                effect="Autograd does not record the teacher's forward.",
                code=f"with torch.no_grad():\n    target = reward + {_DISCOUNT} * teacher(x)",
                holds=_TEACHER_FREE,
            ),
            Alternative(
                name="inference_mode",
                label="target under inference_mode()",
                effect="As no_grad(); the target may be read by a loss that does not save it for backward.",
                code=f"with torch.inference_mode():\n    target = reward + {_DISCOUNT} * teacher(x)",
                holds=_TEACHER_FREE,
            ),
            Alternative(
                name="detach",
                label="target detached",
                effect="Autograd records the teacher's forward, and detach() drops the record.",
                code=f"target = (reward + {_DISCOUNT} * teacher(x)).detach()",
                holds=_TEACHER_FREE,
            ),
        ),
    ),
    Workload(
        name="update",
        title="one step of gradient descent on ten parameters",
        shows="The price of writing to parameters: by hand under no_grad(), through .data, by an optimizer.",
        headline=True,
        purpose="Write to parameters",
        inputs={"gradient": "torch.rand({shape}, {options}) - 0.5"},
        leaf=f"{LEAF}\nparameters = [part.detach().requires_grad_() for part in base.chunk(10)]\n"
        "for parameter, part in zip(parameters, gradient.chunk(10)):\n    parameter.grad = part",
        result="x.detach().clone()",
        answer="x - 0.001 * gradient",
        writes=True,
        normwise=True,
        baseline="no_grad",
        every=3,
        presets=at(standard="small large"),
        alternatives=(
            Alternative(
                name="no_grad",
                label="no_grad(), p -= lr * g",
                effect="As the guide writes it: a product, then a difference in place.",
                code="with torch.no_grad():\n    for p in parameters:\n        p -= 0.001 * p.grad",
            ),
            Alternative(
                name="no_grad_alpha",
                label="no_grad(), p.sub_(g, alpha=lr)",
                effect="The update in one operation, without an intermediate result.",
                code="with torch.no_grad():\n    for p in parameters:\n        p.sub_(p.grad, alpha=0.001)",
                source="https://docs.pytorch.org/docs/stable/generated/torch.sub.html",
            ),
            Alternative(
                name="data",
                label="p.data -= lr * g",
                effect="Writes past autograd, which does not notice.",
                code="for p in parameters:\n    p.data -= 0.001 * p.grad",
                source="https://github.com/pytorch/pytorch/issues/6990",
            ),
            Alternative(
                name="optimizer",
                label="torch.optim.SGD",
                effect="The optimizer with its defaults.",
                setup=f"{_SGD})",
                code="optimizer.step()",
                source="https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html",
            ),
            Alternative(
                name="optimizer_foreach",
                label="torch.optim.SGD(foreach=True)",
                effect="All parameters in one call of the dispatcher.",
                setup=f"{_SGD}, foreach=True)",
                code="optimizer.step()",
                source="https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html",
            ),
            Alternative(
                name="optimizer_fused",
                label="torch.optim.SGD(fused=True)",
                effect="The whole step in one kernel.",
                setup=f"{_SGD}, fused=True)",
                code="optimizer.step()",
                # In half precision the fused step leaves parameters unchanged: pytorch/pytorch#191763.
                dtypes=("float32", "float64"),
                source="https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html",
            ),
        ),
    ),
)

_ZERO_GRAD = Workload(
    name="zero_grad",
    part="alone",
    title="clearing the gradients of a model: alone",
    shows="The price of clearing gradients, by releasing them or by filling them with zeros.",
    imports=f"import torch.nn.functional as F\n{MODEL}",
    inputs=_FREEZE.inputs,
    leaf=_FREEZE.leaf,
    setup="optimizer = torch.optim.SGD(model.parameters(), lr=0.1)",
    # No other object holds these gradients, so that clearing releases them.
    setup_per_call="for parameter in model.parameters():\n    parameter.grad = torch.ones_like(parameter)",
    statement="VARIANT",
    result="",
    baseline="set_to_none",
    sizes=SIZES,
    every=3,
    presets=at(standard="small"),
    shape=rows,
    alternatives=(
        Alternative(
            name="set_to_none",
            label="zero_grad()",
            effect="Releases the gradients; this is the default since 2.0.",
            source="https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html",
            code="optimizer.zero_grad()",
            holds="all(parameter.grad is None for parameter in model.parameters())",
        ),
        Alternative(
            name="set_to_zero",
            label="zero_grad(set_to_none=False)",
            effect="Keeps the gradients from call to call, filled with zeros.",
            source="https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html",
            code="optimizer.zero_grad(set_to_none=False)",
            holds="all(not parameter.grad.any() for parameter in model.parameters())",
        ),
        Alternative(
            name="by_hand",
            label="p.grad = None by hand",
            effect="The same as zero_grad(), in a loop by hand.",
            code="for parameter in model.parameters():\n    parameter.grad = None",
            holds="all(parameter.grad is None for parameter in model.parameters())",
        ),
    ),
)

WORKLOADS = (
    *_USES,
    _ZERO_GRAD,
    replace(
        _ZERO_GRAD,
        part="step",
        title="clearing the gradients of a model: with the forward and backward that follow",
        shows="The effect of clearing on the next backward: it moves a gradient into an empty place, and "
        "adds "
        "it to zeros.",
        headline=True,
        purpose="Clear gradients",
        setup_per_call="",
        statement=f"VARIANT\nfeatures = model.backbone(x)\n{_LOSS}\nloss.backward()",
        result="loss",
        answer=_FREEZE.answer,
        normwise=True,
        roundings=2 * MLP_ROUNDINGS,
        presets=at(standard="medium"),
        alternatives=tuple(
            replace(alternative, holds="all(parameter.grad.any() for parameter in model.parameters())")
            for alternative in _ZERO_GRAD.alternatives
        ),
    ),
)
