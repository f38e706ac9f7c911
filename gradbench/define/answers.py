"""The expected answers that do not fit in a line, in NumPy and float64, without torch.

Parameters are a dict of arrays, named as in a module's `state_dict`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]
Parameters = Mapping[str, Array]


def linear(x: Array, parameters: Parameters, name: str) -> Array:
    """A linear layer: (..., features) to (..., outputs)."""
    result: Array = x @ parameters[f"{name}.weight"].T + parameters[f"{name}.bias"]
    return result


def mlp_features(x: Array, parameters: Parameters) -> Array:
    """The backbone of `gradbench.models.MLP`: (samples, features) to (samples, hidden)."""
    for layer in ("backbone.0", "backbone.2"):
        x = numpy.maximum(linear(x, parameters, layer), 0.0)
    return x


def mlp(x: Array, parameters: Parameters) -> Array:
    """`gradbench.models.MLP`: (samples, features) to logits (samples, classes)."""
    return linear(mlp_features(x, parameters), parameters, "head")


def convolve(x: Array, parameters: Parameters, name: str) -> Array:
    """A 3x3 convolution with zeros around the image.

    (samples, channels, height, width) to (samples, outputs, height, width).
    """
    padded = numpy.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = numpy.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    result: Array = numpy.einsum("nchwij,ocij->nohw", windows, parameters[f"{name}.weight"], optimize=True)
    return result + parameters[f"{name}.bias"][:, None, None]


def conv_net(x: Array, parameters: Parameters) -> Array:
    """`gradbench.models.ConvNet`: (samples, channels, height, width) to logits (samples, classes)."""
    for layer in ("backbone.0", "backbone.2"):
        x = numpy.maximum(convolve(x, parameters, layer), 0.0)
    return linear(x.mean((2, 3)), parameters, "head")


def softmax(x: Array) -> Array:
    """The softmax over the last dimension."""
    powers = numpy.exp(x - x.max(-1, keepdims=True))
    result: Array = powers / powers.sum(-1, keepdims=True)
    return result


# NumPy has no erf for arrays, and an environment that `versus` compares may have no SciPy.
_erf = numpy.vectorize(math.erf, otypes=[numpy.float64])


def cross_entropy(logits: Array, labels: Array) -> float:
    """The mean cross-entropy of logits (samples, classes) to labels (samples,)."""
    shifted = logits - logits.max(1, keepdims=True)
    logs = shifted - numpy.log(numpy.exp(shifted).sum(1, keepdims=True))
    return float(-logs[numpy.arange(len(labels)), labels.astype(int)].mean())


def mlp_head_gradient(x: Array, parameters: Parameters, labels: Array) -> Array:
    """The gradient of the mean cross-entropy to the weight of the head: (classes, hidden)."""
    probabilities = softmax(mlp(x, parameters))
    wanted = numpy.eye(probabilities.shape[1])[labels.astype(int)]
    result: Array = (probabilities - wanted).T @ mlp_features(x, parameters) / len(labels)
    return result


def layer_norm(x: Array, parameters: Parameters, name: str) -> Array:
    """Layer normalization over the last dimension, with the epsilon of torch.nn.LayerNorm, 1e-5."""
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / numpy.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    result: Array = scaled * parameters[f"{name}.weight"] + parameters[f"{name}.bias"]
    return result


def transformer_block(x: Array, parameters: Parameters, heads: int) -> Array:
    """`gradbench.models.TransformerBlock`: (samples, tokens, width) to the same."""
    samples, tokens, width = x.shape
    packed = linear(layer_norm(x, parameters, "norm_attention"), parameters, "queries_keys_values")
    split = packed.reshape(samples, tokens, 3, heads, width // heads)
    queries, keys, values = numpy.moveaxis(split, (2, 3), (0, 2))
    scores = queries @ numpy.swapaxes(keys, -1, -2) / math.sqrt(width // heads)
    attended = softmax(scores) @ values
    x = x + linear(numpy.swapaxes(attended, 1, 2).reshape(samples, tokens, width), parameters, "projection")
    expanded = linear(layer_norm(x, parameters, "norm_perceptron"), parameters, "expand")
    gelu = 0.5 * expanded * (1.0 + _erf(expanded / math.sqrt(2.0)))
    return x + linear(gelu, parameters, "contract")
