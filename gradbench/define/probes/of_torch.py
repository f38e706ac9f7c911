"""Questions about torch and the measured library, and about no method."""

from __future__ import annotations

from gradbench.define.probes.probe import ATTEMPT, BEGIN, NOTES, PROFILE, Probe

PROBES: tuple[Probe, ...] = (
    Probe(
        id="zero_grad",
        question="Do gradients add up unless they are cleared?",
        source="https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html",
        code=BEGIN
        + """\
x = torch.tensor(2.0, requires_grad=True)
optimizer = torch.optim.SGD([x], lr=0.1)
(x * x).backward()
observed["after_one_backward"] = x.grad.item()
(x * x).backward()
observed["after_two"] = x.grad.item()
optimizer.zero_grad()
observed["none_after_zero_grad"] = x.grad is None
(x * x).backward()
observed["after_zero_grad_and_one"] = x.grad.item()
""",
    ),
    Probe(
        id="retain_graph",
        question="Is retain_graph=True needed for a second backward, and what does it keep in memory?",
        source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html",
        code=PROFILE
        + ATTEMPT
        + """
x = torch.ones(1_000_000, requires_grad=True)

def kept_after_backward(retain):
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        loss = x.exp().sin().sum()
        loss.backward(retain_graph=retain)
        x.grad = None
    return loss, sum(held(profiler)) - loss.untyped_storage().nbytes()

for _ in range(2):
    loss, observed["kept_without"] = kept_after_backward(False)
attempt("second_without", loss.backward)
loss, observed["kept_with"] = kept_after_backward(True)
attempt("second_with", loss.backward)
""",
    ),
    Probe(
        id="freeze",
        question="Does requires_grad_(False) freeze a layer, and let gradients through to the one before?",
        source=NOTES + "#setting-requires-grad",
        code=BEGIN
        + """\
torch.manual_seed(0)
first, second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 1)
data = torch.rand(8, 4)
second.requires_grad_(False)
before = second.weight.clone(), first.weight.detach().clone()
optimizer = torch.optim.SGD([*first.parameters(), *second.parameters()], lr=0.1)
second(first(data)).sum().backward()
optimizer.step()
observed["frozen_gets_gradient"] = second.weight.grad is not None
observed["frozen_changed"] = not torch.equal(second.weight, before[0])
observed["layer_before_gets_gradient"] = first.weight.grad is not None
observed["layer_before_changed"] = not torch.equal(first.weight, before[1])
second.requires_grad_(True)
second(first(data)).sum().backward()
observed["unfrozen_gets_gradient"] = second.weight.grad is not None
# The other way to leave the layer out cuts what comes before it off, too.
with torch.no_grad():
    y = second(first(data))
observed["recorded_under_no_grad"] = y.requires_grad
""",
    ),
    Probe(
        id="target",
        question="Does a training target by detach() or no_grad() keep its value and pass no gradient on?",
        source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html",
        code=BEGIN
        + """\
torch.manual_seed(0)
model, teacher = torch.nn.Linear(4, 1), torch.nn.Linear(4, 1)
data = torch.rand(8, 4)

def teacher_gets_gradient(target):
    teacher.zero_grad()
    (model(data) - target).square().sum().backward()
    return teacher.weight.grad is not None

tracked, detached = teacher(data), teacher(data).detach()
with torch.no_grad():
    under_no_grad = teacher(data)
observed["same_value_detached"] = torch.equal(tracked, detached)
observed["same_value_no_grad"] = torch.equal(tracked, under_no_grad)
observed["gradient_tracked"] = teacher_gets_gradient(tracked)
observed["gradient_detached"] = teacher_gets_gradient(detached)
observed["gradient_no_grad"] = teacher_gets_gradient(under_no_grad)
""",
    ),
    Probe(
        id="inference",
        question="Does no_grad() give the same predictions without a graph, and does it do what eval() does?",
        source=NOTES + "#evaluation-mode-nn-module-eval",
        code=BEGIN
        + """\
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Dropout(0.5))
data = torch.rand(8, 64)
with torch.no_grad():
    observed["dropout_still_drops"] = not torch.equal(model(data), model(data))
model.eval()
recorded = model(data)
observed["eval_alone_builds_a_graph"] = recorded.grad_fn is not None
with torch.no_grad():
    y = model(data)
observed["no_grad_builds_a_graph"] = y.grad_fn is not None
observed["same_predictions"] = torch.equal(recorded, y)
""",
    ),
    Probe(
        id="components",
        question="What do requires_grad, grad_fn and backward() hold on a leaf and on a result?",
        source=NOTES + "#how-autograd-encodes-the-history",
        code=BEGIN
        + """\
x = torch.tensor([1.0, 2.0], requires_grad=True)
y = torch.tensor([3.0, 4.0], requires_grad=True)
z = x * y
observed["leaf_grad_fn"] = x.grad_fn is not None
observed["result_requires_grad"] = z.requires_grad
observed["result_grad_fn"] = type(z.grad_fn).__name__
z.sum().backward()
observed["gradient_of_x_is_y"] = torch.equal(x.grad, y)
observed["gradient_of_y_is_x"] = torch.equal(y.grad, x)
""",
    ),
    Probe(
        id="square",
        question="What is dy/dx of y = x² at 2 and at 3?",
        source=NOTES,
        code=BEGIN
        + """\
for at in (2.0, 3.0):
    x = torch.tensor(at, requires_grad=True)
    (x ** 2).backward()
    observed[f"at_{at:g}"] = x.grad.item()
""",
    ),
    Probe(
        id="sin_square",
        question="What is dz/dx of z = sin(x²) at 2, beside cos(x²) · 2x?",
        source=NOTES,
        code="""\
import math

import torch

observed = {}
x = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
torch.sin(x ** 2).backward()
observed["gradient"] = x.grad.item()
observed["by_formula"] = math.cos(2.0 ** 2) * 2 * 2.0
observed["agree"] = math.isclose(observed["gradient"], observed["by_formula"], rel_tol=1e-12)
""",
    ),
    Probe(
        id="exp_sin_square",
        question="What is du/dx of u = exp(sin(x²)) at 2, beside exp(sin(x²)) · cos(x²) · 2x?",
        source=NOTES,
        code="""\
import math

import torch

observed = {}
x = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
torch.exp(torch.sin(x ** 2)).backward()
observed["gradient"] = x.grad.item()
observed["by_formula"] = math.exp(math.sin(2.0 ** 2)) * math.cos(2.0 ** 2) * 2 * 2.0
observed["agree"] = math.isclose(observed["gradient"], observed["by_formula"], rel_tol=1e-12)
""",
    ),
    Probe(
        id="predictors",
        question="Do the predictors from scratch and in PyTorch come to the same parameters?",
        source=NOTES,
        code="""\
from gradbench.placement import (
    CGPA, PLACED, ModulePlacementPredictor, NumpyPlacementPredictor, TensorPlacementPredictor
)

observed = {}
kinds = (NumpyPlacementPredictor, TensorPlacementPredictor, ModulePlacementPredictor)
fitted = [kind(learning_rate=0.1, epochs=1000).fit(CGPA, PLACED) for kind in kinds]
found = [(float(each.weight), float(each.bias), float(each.losses[-1])) for each in fitted]
observed["weight"], observed["bias"], observed["loss"] = found[0]
observed["largest_difference"] = max(abs(a - b) for other in found[1:] for a, b in zip(found[0], other))
""",
    ),
    Probe(
        id="training",
        question="Do 1,000 epochs at 0.1 on the five samples lower the loss, and tell 7.5 from 5.0?",
        source=NOTES,
        code="""\
from gradbench.placement import CGPA, PLACED, TensorPlacementPredictor

observed = {}
predictor = TensorPlacementPredictor(learning_rate=0.1, epochs=1000).fit(CGPA, PLACED)
observed["first_loss"], observed["last_loss"] = float(predictor.losses[0]), float(predictor.losses[-1])
observed["at_7_5"], observed["at_5"] = (float(each) for each in predictor.predict([7.5, 5.0]))
""",
    ),
    Probe(
        id="clamped_loss",
        question="Is the loss of a probability clamped by 1e-15 finite in float32, far from the answer?",
        source="https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html",
        code="""\
import math

import torch

from gradbench.placement import binary_cross_entropy, clamped_loss

observed = {}
logit, placed = torch.tensor([20.0], requires_grad=True), torch.tensor([0.0])
clamped = clamped_loss(logit, placed)
clamped.backward()
observed["exact"] = 20.0 + math.log1p(math.exp(-20.0))
observed["from_logits"] = float(binary_cross_entropy(logit.detach().numpy(), placed.numpy()))
observed["clamped"], observed["gradient"] = str(clamped.item()), str(logit.grad.item())
observed["clamped_is_finite"] = math.isfinite(clamped.item()) and math.isfinite(logit.grad.item())
""",
    ),
    Probe(
        id="as_written",
        question="Does the class as the guide writes it, without torch's Function as its base, have apply()?",
        source="https://docs.pytorch.org/docs/stable/notes/extending.html",
        code=BEGIN
        + """\

class AutogradFunction:
    def save_for_backward(self, *args):
        self.saved_tensors = args

def gradient_at_2(base):
    class Square(base):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad_output):
            (x,) = ctx.saved_tensors
            return 2 * x * grad_output

    x = torch.tensor(2.0, requires_grad=True)
    Square.apply(x).backward()
    return x.grad.item()

try:
    gradient_at_2(AutogradFunction)
    observed["as_written"] = "runs"
except AttributeError as error:
    observed["as_written"] = f"AttributeError: {error}"
observed["gradient_with_the_base_of_torch"] = gradient_at_2(torch.autograd.Function)
""",
    ),
)
