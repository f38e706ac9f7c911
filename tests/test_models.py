"""The models compute what NumPy computes in float64, and a shared copy shares values and nothing else."""

import numpy
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune

from gradbench.define import answers
from gradbench.models import MLP, ConvNet, SimpleNN, TransformerBlock, share

MODELS = {
    "simple": SimpleNN,
    "mlp": lambda: MLP(5, 8, 3),
    "conv": lambda: ConvNet(2, 4, 3),
    "transformer": lambda: TransformerBlock(8, 2),
}
SHAPES = {SimpleNN: (3, 1), MLP: (3, 5), ConvNet: (3, 2, 4, 4), TransformerBlock: (3, 4, 8)}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def in_float64(model, seed=0):
    """The model in float64 with parameters that are nowhere 0 or 1, so that none can be left out unseen."""
    generator = torch.Generator().manual_seed(seed)
    model = model.to(torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
    return model


def arrays(model):
    return {name: value.numpy() for name, value in model.state_dict().items()}


def normal(*shape, seed=1):
    return numpy.random.default_rng(seed).standard_normal(shape)


def check(model, x, expected):
    result = model(torch.from_numpy(x)).detach().numpy()
    assert result.shape == expected.shape
    # Some hundred roundings of 1e-16 each, on values of some ten.
    numpy.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("samples", [1, 7])
def test_the_simple_network_is_the_sigmoid_of_a_line(samples):
    model = in_float64(SimpleNN())
    weight, bias = (float(value.reshape(())) for value in arrays(model).values())
    x = normal(samples, 1)
    check(model, x, 1 / (1 + numpy.exp(-(weight * x + bias))))


@pytest.mark.parametrize(
    ("samples", "features", "hidden", "classes"), [(1, 1, 1, 1), (3, 5, 8, 2), (64, 30, 17, 10)]
)
def test_the_perceptron_is_what_numpy_computes(samples, features, hidden, classes):
    model = in_float64(MLP(features, hidden, classes))
    x = normal(samples, features)
    check(model, x, answers.mlp(x, arrays(model)))
    assert [type(layer) for layer in model.backbone] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU]
    numpy.testing.assert_allclose(
        model.backbone(torch.from_numpy(x)).detach().numpy(),
        answers.mlp_features(x, arrays(model)), rtol=1e-10, atol=1e-10,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("samples", "channels", "hidden", "classes", "height", "width"),
    [(1, 1, 1, 1, 1, 1), (2, 3, 4, 5, 6, 9), (3, 1, 2, 2, 2, 3)],
)
def test_the_convolutional_network_is_what_numpy_computes(samples, channels, hidden, classes, height, width):
    model = in_float64(ConvNet(channels, hidden, classes))
    x = normal(samples, channels, height, width)
    check(model, x, answers.conv_net(x, arrays(model)))
    numpy.testing.assert_array_equal(
        model(torch.from_numpy(x)).detach(), model.head(model.backbone(torch.from_numpy(x))).detach()
    )


@pytest.mark.parametrize(
    ("samples", "tokens", "width", "heads"), [(1, 1, 2, 1), (2, 5, 8, 4), (3, 7, 12, 3), (2, 16, 64, 4)]
)
def test_the_transformer_block_is_what_numpy_computes(samples, tokens, width, heads):
    model = in_float64(TransformerBlock(width, heads))
    x = normal(samples, tokens, width)
    check(model, x, answers.transformer_block(x, arrays(model), heads))


def test_the_transformer_block_normalizes_before_each_branch():
    model = in_float64(TransformerBlock(8, 2))
    x = normal(2, 5, 8)
    with torch.no_grad():
        model.projection.weight.zero_()
        model.projection.bias.zero_()
        model.contract.weight.zero_()
        model.contract.bias.zero_()
    # What is left is the way past both branches.
    check(model, x, x)


@pytest.mark.parametrize(("width", "heads"), [(8, 3), (8, 0), (8, -2)])
def test_heads_that_do_not_divide_the_width_are_refused(width, heads):
    with pytest.raises(
        ValueError, match=f"^expected heads to divide width; got {heads} heads .* of {width};"
    ):
        TransformerBlock(width, heads)


def test_cross_entropy_and_its_gradient_are_those_of_autograd():
    model = in_float64(MLP(6, 9, 4))
    x, labels = normal(11, 6), numpy.arange(11) % 4
    # Labels come as the floating numbers that inputs are kept in.
    given = labels.astype(float)
    loss = F.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(labels))
    (gradient,) = torch.autograd.grad(loss, [model.head.weight])
    assert answers.cross_entropy(answers.mlp(x, arrays(model)), given) == pytest.approx(
        loss.item(), rel=1e-12
    )
    numpy.testing.assert_allclose(
        answers.mlp_head_gradient(x, arrays(model), given), gradient.numpy(), rtol=1e-10, atol=1e-12
    )


@each_model
def test_the_seed_settles_the_parameters(make):
    torch.manual_seed(3)
    first = make().state_dict()
    torch.manual_seed(3)
    second = make().state_dict()
    torch.manual_seed(4)
    third = make().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], third[name]) for name in first)


@each_model
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_model_computes_in_the_dtype_it_is_moved_to(make, dtype):
    model = make().to(dtype)
    result = model(torch.ones(SHAPES[type(model)], dtype=dtype))
    assert result.dtype == dtype
    assert result.isfinite().all()


@each_model
def test_nothing_is_dropped_while_training(make):
    model = make().train()
    x = torch.rand(SHAPES[type(model)])
    assert torch.equal(model(x), model(x))


@each_model
def test_a_shared_copy_has_tensors_of_its_own_on_the_same_memory(make):
    model = make()
    copy = share(model)
    assert type(copy) is type(model)
    ours, theirs = dict(model.named_parameters()), dict(copy.named_parameters())
    assert list(ours) == list(theirs)
    for name, parameter in ours.items():
        assert theirs[name] is not parameter
        assert isinstance(theirs[name], nn.Parameter)
        assert theirs[name].data_ptr() == parameter.data_ptr()
        assert theirs[name].untyped_storage().data_ptr() == parameter.untyped_storage().data_ptr()
        assert theirs[name].shape == parameter.shape
        assert theirs[name].stride() == parameter.stride()
        assert theirs[name].is_leaf


def test_freezing_one_copy_leaves_the_other_trainable():
    model = MLP(3, 4, 2)
    model.head.bias.requires_grad_(False)
    copy = share(model)
    assert [each.requires_grad for each in copy.parameters()] == [True, True, True, True, True, False]
    copy.backbone.requires_grad_(False)
    assert [each.requires_grad for each in model.parameters()] == [True, True, True, True, True, False]
    model(torch.ones(2, 3)).sum().backward()
    assert model.head.weight.grad is not None
    assert all(each.grad is None for each in copy.parameters())


def test_a_shared_copy_starts_without_the_gradients_of_the_other():
    model = MLP(3, 4, 2)
    model(torch.ones(2, 3)).sum().backward()
    assert all(each.grad is None for each in share(model).parameters())


def test_a_write_to_one_copy_is_seen_in_the_other():
    model = MLP(3, 4, 2)
    copy = share(model)
    with torch.no_grad():
        copy.head.weight.fill_(7.0)
    assert (model.head.weight == 7.0).all()


def test_buffers_share_their_memory_and_modes_do_not():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    model.register_buffer("unsaved", torch.ones(2), persistent=False)
    copy = share(model)
    ours, theirs = dict(model.named_buffers()), dict(copy.named_buffers())
    assert list(ours) == list(theirs)
    for name, buffer in ours.items():
        assert theirs[name] is not buffer
        assert theirs[name].data_ptr() == buffer.data_ptr()
    copy.eval()
    assert model.training
    assert model[1].training


def test_a_tied_parameter_stays_one_parameter():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    copy = share(model)
    assert copy[1].weight is copy[0].weight
    assert copy[1].weight is not model[0].weight
    assert copy[1].weight.data_ptr() == model[0].weight.data_ptr()
    assert len(list(copy.parameters())) == 3


class WithMask(nn.Linear):
    """Keeps a tensor that is neither a parameter nor a buffer."""

    def __init__(self):
        super().__init__(3, 3)
        self.mask = torch.ones(3)

    def forward(self, x):
        return super().forward(x) * self.mask


def old_weight_norm():
    with pytest.warns(FutureWarning):
        return torch.nn.utils.weight_norm(nn.Linear(3, 3))


COMPUTED = {
    "weight_norm": lambda: parametrizations.weight_norm(nn.Linear(3, 3)),
    "spectral_norm": lambda: parametrizations.spectral_norm(nn.Linear(3, 3)),
    "old weight_norm": old_weight_norm,
    "pruned": lambda: prune.l1_unstructured(nn.Linear(3, 3), "weight", 0.5),
    "mask": WithMask,
    "transformer": lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
    "recurrent": lambda: nn.RNNCell(3, 3),
}


@pytest.mark.parametrize("make", COMPUTED.values(), ids=COMPUTED)
def test_modules_that_compute_or_keep_other_tensors_are_shared_and_frozen_apart(make):
    model = make()
    x = torch.ones(1, 2, 4) if isinstance(model, nn.TransformerEncoderLayer) else torch.ones(2, 3)
    model.eval()(x)
    copy = share(model)
    assert torch.equal(copy(x), model(x))
    ours, theirs = dict(model.named_parameters()), dict(copy.named_parameters())
    assert {name: each.data_ptr() for name, each in ours.items()} == {
        name: each.data_ptr() for name, each in theirs.items()
    }
    copy.requires_grad_(False)
    assert not copy(x).requires_grad
    assert model(x).requires_grad


def test_a_tensor_that_is_no_parameter_keeps_its_flag_and_its_memory():
    model = WithMask()
    model.mask.requires_grad_()
    copy = share(model)
    assert copy.mask is not model.mask
    assert copy.mask.data_ptr() == model.mask.data_ptr()
    assert copy.mask.requires_grad
    assert not share(WithMask()).mask.requires_grad


def test_a_module_that_stands_in_two_places_is_one_in_the_copy():
    model = nn.ModuleDict({"a": nn.Linear(3, 3)})
    model["b"] = model["a"]
    copy = share(model)
    assert copy["b"] is copy["a"]
    assert copy["a"] is not model["a"]
