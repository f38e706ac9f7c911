"""Small models to measure on: nothing is downloaded, and `torch.manual_seed` settles their parameters."""

from __future__ import annotations

import copy
import io
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


class SimpleNN(nn.Module):
    """One neuron: the sigmoid of a weight times x plus a bias. Shapes: (samples, 1) to (samples, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities."""
        probability: Tensor = self.sigmoid(self.linear(x))
        return probability


class MLP(nn.Module):
    """A multi-layer perceptron: a backbone of two hidden layers with ReLU, and a linear head.

    Shapes: (samples, features) to (samples, classes).
    """

    def __init__(self, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.backbone(x))
        return logits


class ConvNet(nn.Module):
    """Two 3x3 convolutions with ReLU, the mean over the image, and a linear head.

    Shapes: (samples, channels, height, width) to (samples, classes).
    """

    def __init__(self, channels: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(channels, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.backbone(x))
        return logits


class TransformerBlock(nn.Module):
    """A pre-norm transformer block: self-attention, then a perceptron with GELU, each added to its input.

    Shapes: (samples, tokens, width) to the same. Source: Xiong et al. 2020, "On Layer Normalization in the
    Transformer Architecture". Raises ValueError where `heads` does not divide `width`.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(
                f"expected heads to divide width; got {heads} heads and a width of {width}; change one"
            )
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm_perceptron = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        samples, tokens, width = x.shape
        packed = self.queries_keys_values(self.norm_attention(x))
        # (samples, tokens, 3, heads, width per head) to three of (samples, heads, tokens, width per head).
        queries, keys, values = packed.view(samples, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(queries, keys, values)
        x = x + self.projection(attended.transpose(1, 2).reshape(samples, tokens, width))
        result: Tensor = x + self.contract(F.gelu(self.expand(self.norm_perceptron(x))))
        return result


def share(model: Module) -> Module:
    """A copy of a module with separate parameters, buffers and other tensors on the same storages.

    Flags,
    gradients and modes of the two are independent. Values are shared: a write to one shows in the other. A
    parameter that the module has in two places stays one parameter.
    """
    # deepcopy takes an object from the memo in place of a copy.
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad)
    for buffer in model.buffers():
        memo[id(buffer)] = buffer.detach()
    # Tensors that are neither parameters nor buffers. deepcopy refuses computed tensors, which pruning and
    # the older weight_norm leave for the next forward to compute again.
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, Tensor):
                memo[id(value)] = value.detach().requires_grad_(value.is_leaf and value.requires_grad)
    scripted = _outermost_scripted(model)
    memo |= {id(each): _recompiled(each) for each in scripted}
    copied = copy.deepcopy(model, memo)
    if scripted:
        # Modules that TorchScript loads have separate storages.
        for one, other in zip(_tensors(copied), _tensors(model), strict=True):
            one.data = other.data
            one.requires_grad_(other.requires_grad)
    return copied


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _outermost_scripted(model: nn.Module) -> list[nn.Module]:
    """The TorchScript modules that are in no other TorchScript module."""
    if isinstance(model, torch.jit.ScriptModule):
        return [model]
    return [found for each in model.children() for found in _outermost_scripted(each)]


def _recompiled(scripted: nn.Module) -> nn.Module:
    """A TorchScript module once more, compiled separately.

    Copies share compiled code, which is made for the
    flags and modes of the first calls. After one copy was recorded, a call of another copy under no_grad()
    would therefore still record.
    """
    buffer = io.BytesIO()
    torch.jit.save(scripted, buffer)
    buffer.seek(0)
    loaded: nn.Module = torch.jit.load(buffer)
    return loaded


def leaves_of(result: Tensor) -> list[Tensor]:
    """The tensors that a backward from a result gives gradients to, in the order of the graph."""
    found: dict[int, Tensor] = {}
    seen = {result.grad_fn}
    waiting = [result.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        # Only the node of a leaf has a variable.
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            found[id(leaf)] = leaf
        following = [each for each, _ in node.next_functions if each not in seen]
        seen.update(following)
        waiting += following
    return list(found.values())
