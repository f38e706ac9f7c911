"""The predictor in PyTorch: on raw tensors, and as a module with an optimizer."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from gradbench.models import SimpleNN
from gradbench.placement.predictor import PlacementPredictor


def clamped_loss(logits: Tensor, placed: Tensor) -> Tensor:
    """The mean binary cross-entropy as the guide writes it: sigmoid, clamp by 1e-15, logarithm.

    It shows the faults of this form, and is not for training. In float32 1 - 1e-15 is 1, so that the clamp
    lets the probability reach 1. From a logit of about 17 the loss is infinite where y is 0. Where y is 1,
    the right answer, it is NaN, by 0 times infinity. Below a logit of -34.5, in float64 on both sides, the
    loss is constant and its gradient is 0. From -89, in float64 -710, e^-z overflows: the gradient is NaN.

    >>> clamped_loss(torch.tensor([20.0]), torch.tensor([0.0]))
    tensor(inf)
    >>> clamped_loss(torch.tensor([20.0]), torch.tensor([1.0]))
    tensor(nan)
    >>> F.binary_cross_entropy_with_logits(torch.tensor([20.0]), torch.tensor([0.0]))
    tensor(20.)

    Shapes: (samples,) and (samples,) to a scalar. `gradbench.placement.binary_cross_entropy` and PyTorch's
    binary_cross_entropy_with_logits are the stable form.
    """
    epsilon = 1e-15
    probability = torch.clamp(1 / (1 + torch.exp(-logits)), epsilon, 1 - epsilon)
    loss = -(placed * torch.log(probability) + (1 - placed) * torch.log(1 - probability))
    return loss.mean()


class _OnDevice(PlacementPredictor[Tensor]):
    """Samples and parameters as tensors on one device."""

    def __init__(self, *, device: str = "cpu", **settings: Any) -> None:
        """`device` as torch names it, such as "cuda"; the other settings are every predictor's.

        Raises ValueError where there is no such device.
        """
        try:
            self._device = torch.empty(0, device=device).device
        # A CPU build of torch raises AssertionError.
        except (AssertionError, RuntimeError) as error:
            raise ValueError(
                f"expected a device that torch can use; got {device!r}; give one such as 'cpu'"
            ) from error
        super().__init__(**settings)

    def _adopt(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self._device)


class TensorPlacementPredictor(_OnDevice):
    """Raw tensors, as in the guide: autograd gives the gradients, and the update is made under no_grad()."""

    def epoch(self, data: tuple[Tensor, Tensor]) -> Tensor:
        """One step; the loss before it, a tensor of shape () off the graph."""
        x, placed = data
        loss = F.binary_cross_entropy_with_logits(self._weight * x + self._bias, placed)
        loss.backward()
        with torch.no_grad():
            self._weight -= self.learning_rate * self._weight.grad
            self._bias -= self.learning_rate * self._bias.grad
            self._weight.grad.zero_()
            self._bias.grad.zero_()
        self.epochs_run += 1
        return loss.detach()

    @property
    def weight(self) -> float:
        """The change of the logit per unit of x."""
        return float(self._weight.item())

    @property
    def bias(self) -> float:
        """The logit at x = 0."""
        return float(self._bias.item())

    def _set(self, weight: float, bias: float) -> None:
        dtype = getattr(torch, self.dtype)
        self._weight, self._bias = (
            torch.tensor([value], dtype=dtype, device=self._device, requires_grad=True)
            for value in (weight, bias)
        )

    def _probabilities(self, x: Tensor) -> NDArray[Any]:
        with torch.no_grad():
            probabilities: NDArray[Any] = torch.sigmoid(self._weight * x + self._bias).cpu().numpy()
        return probabilities


class ModulePlacementPredictor(_OnDevice):
    """`SimpleNN`, with a loss on its logit before the sigmoid, and torch.optim.SGD."""

    def epoch(self, data: tuple[Tensor, Tensor]) -> Tensor:
        """One step; the loss before it, a tensor of shape () off the graph."""
        x, placed = data
        self._optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(self.model.linear(x), placed)
        loss.backward()
        self._optimizer.step()
        self.epochs_run += 1
        return loss.detach()

    @property
    def weight(self) -> float:
        """The change of the logit per unit of x."""
        return float(self.model.linear.weight.item())

    @property
    def bias(self) -> float:
        """The logit at x = 0."""
        return float(self.model.linear.bias.item())

    def _set(self, weight: float, bias: float) -> None:
        # The module draws first parameters, which are unused. The caller's random state stays unchanged.
        with torch.random.fork_rng(devices=[]):
            self.model = SimpleNN().to(self._device, getattr(torch, self.dtype))
        torch.nn.init.constant_(self.model.linear.weight, weight)
        torch.nn.init.constant_(self.model.linear.bias, bias)
        self._optimizer = torch.optim.SGD(self.model.parameters(), lr=self.learning_rate)

    def _adopt(self, values: NDArray[Any]) -> Tensor:
        return super()._adopt(values)[:, None]

    def _probabilities(self, x: Tensor) -> NDArray[Any]:
        with torch.no_grad():
            probabilities: NDArray[Any] = self.model(x).cpu().numpy()[:, 0]
        return probabilities
