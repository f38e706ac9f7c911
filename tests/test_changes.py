"""Changes that would save memory: where they stand, and which are left out since training would differ."""

import numpy
import torch
from torch import nn

from gradbench.define.changes import fewer_samples, freeze, recompute, without_recording
from gradbench.measure.anatomy import Watched
from gradbench.measure.candidates import blocks_of, candidates
from gradbench.measure.check_changes import checked
from gradbench.measure.training import Training
from gradbench.record.anatomy import Change


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 8)) for _ in range(3)
        )
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


def training_of(model, x, loss=lambda y: y.square().mean()):
    return Training(model, x, lambda model, x: model(x), loss)


def watched(model, x):
    watcher = Watched(model, x, "net.py")
    with watcher.watching():
        value = model(x).square().mean()
    kept = watcher.kept()
    del value
    return kept, watcher.called


def test_the_blocks_are_those_of_the_list_that_holds_most_in_the_order_of_their_calls():
    model = Residual()
    kept, called = watched(model, torch.rand(16, 4))
    assert blocks_of(model, kept, called) == ["embed", "blocks.0", "blocks.1", "blocks.2", "head"]


def test_all_changes_of_a_plain_model_are_kept():
    model, x = Residual(), torch.rand(16, 4)
    kept, called = watched(model, x)
    found = candidates(training_of(model, x), kept, called, weight=1, few=False)
    few = candidates(training_of(model, x), kept, called, weight=1, few=True)
    assert few == found[:3]
    assert [each.name for each in found] == [
        "freeze_to_blocks_2",
        "checkpoint_blocks_0_to_blocks_2",
        "batch_8",
        "freeze_to_blocks_1",
        "no_grad_to_blocks_2",
        "checkpoint_blocks_0",
    ]
    kept, left_out = checked(training_of(model, x), found, 60.0)
    assert ([each.change for each in kept], left_out) == (found, {})
    head = {"head.weight", "head.bias"}
    assert kept[0].trained == head
    assert kept[1].trained == {name for name, _ in model.named_parameters()}


def test_a_change_is_made_on_a_copy_and_the_flags_of_the_model_stay():
    model, x = Residual(), torch.rand(16, 4)
    frozen, _ = training_of(model, x).changed(freeze(["embed", "blocks.0"], ["blocks.1", "blocks.2", "head"]))
    assert [name for name, each in frozen.named_parameters() if not each.requires_grad] == [
        name for name, _ in model.named_parameters() if name.startswith(("embed.", "blocks.0."))
    ]
    assert all(each.requires_grad for each in model.parameters())


def test_freezing_trains_nothing_that_the_file_has_frozen():
    model = Residual()
    model.head.bias.requires_grad_(False)
    frozen, _ = training_of(model, torch.rand(4, 4)).changed(freeze(["embed"], ["blocks", "head"]))
    assert not frozen.head.bias.requires_grad


def reasons(model, x, *changes, **more):
    kept, left_out = checked(training_of(model, x, **more), changes, 60.0)
    assert kept == []
    return list(left_out.values())


def test_a_change_that_moves_a_gradient_the_result_or_a_parameter_is_left_out():
    model, x = Residual(), torch.rand(16, 4)
    doubled = Change("double", "double", "", "model.head.weight.register_hook(lambda g: 2 * g)")
    other = Change("other", "other", "", "model.register_forward_hook(lambda m, i, y: y + 1)")
    stops = Change("stop", "stop", "", "model.embed.register_forward_hook(lambda m, i, y: y.detach())")
    assert reasons(model, x, doubled, other, stops) == [
        "double: the gradient of head.weight is another one",
        "other: the result of the model is another one",
        "stop: embed.weight gets no gradient",
    ]


def test_dropout_does_not_make_a_change_of_nothing_differ():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    # The same model, with other random numbers.
    draws = Change(
        "draws",
        "draws",
        "",
        "model.register_forward_pre_hook(lambda module, inputs: [torch.rand(3)][1:] or None)",
    )
    kept, left_out = checked(training_of(model, torch.rand(16, 4)), [draws], 60.0)
    assert ([each.change.name for each in kept], left_out) == (["draws"], {})


def test_fewer_samples_are_refused_where_they_are_no_smaller_batch():
    x = torch.rand(16, 4)

    class Centred(nn.Linear):
        def forward(self, x):
            return super().forward(x - x.mean(0))

    (why,) = reasons(Centred(4, 2), x, fewer_samples(8, 16))
    assert "results of samples depend on each other" in why

    class Flat(nn.Linear):
        def forward(self, x):
            return super().forward(x).sum(0)

    assert "is not that of the result" in reasons(Flat(4, 2), x, fewer_samples(8, 16))[0]
    target = torch.rand(16, 2)
    (why,) = reasons(nn.Linear(4, 2), x, fewer_samples(8, 16), loss=lambda y: (y - target).mean())
    assert "RuntimeError: The size of tensor a (8) must match the size of tensor b (16)" in why


def test_what_there_is_no_time_to_check_is_left_out_after_the_first_three():
    model, x = Residual(), torch.rand(16, 4)
    found = [recompute([f"blocks.{number}"], every=False) for number in (0, 1, 2, 0)]
    kept, left_out = checked(training_of(model, x), found, -1.0)
    assert [each.change for each in kept] == found[:3]
    assert "time" in left_out[found[3].name]


def test_what_is_tied_to_a_head_that_is_trained_stays_trained():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
            self.head.weight = self.embed.weight

        def forward(self, x):
            return self.head(self.inner(self.embed(x)))

    model, x = Tied(), torch.rand(16, 4)
    change = freeze(["embed", "inner"], ["head"])
    frozen, _ = training_of(model, x).changed(change)
    trained = {name for name, each in frozen.named_parameters(remove_duplicate=False) if each.requires_grad}
    assert trained == {"embed.weight", "head.weight", "head.bias"}
    (kept,), _ = checked(training_of(model, x), [change], 60.0)
    tied = "not trained any more, but for embed.weight, which is tied to what is trained"
    assert (kept.change.effect, kept.trained) == (tied, trained)
    # Under no_grad() the tied weight would keep its flag, and lose a part of its gradient.
    (why,) = reasons(model, x, without_recording(["embed", "inner"], ["head"]))
    assert why.endswith("the gradient of head.weight is another one")


class Positions(nn.Module):
    """A parameter of the model's own comes first."""

    def __init__(self):
        super().__init__()
        self.positions = nn.Parameter(torch.rand(4))
        self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.inner(x + self.positions))


def test_what_loses_its_gradient_beside_the_modules_that_are_named_is_said():
    (kept,), _ = checked(training_of(Positions(), torch.rand(8, 4)), [freeze(["inner"], ["head"])], 60.0)
    assert kept.change.effect == "not trained any more, nor positions"
    assert kept.trained == {"head.weight", "head.bias"}


def test_running_statistics_that_move_twice_are_said_and_are_as_they_were_afterwards():
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), nn.Linear(4, 2))
    before = {name: each.clone() for name, each in model.named_buffers()}
    (kept,), _ = checked(training_of(model, torch.rand(8, 4)), [recompute(["0"], every=False)], 60.0)
    assert kept.change.effect.startswith("the same gradients; 0.1.running_mean and 2 more move otherwise")
    assert all(torch.equal(before[name], each) for name, each in model.named_buffers())


def test_a_change_that_moves_running_statistics_says_nothing_of_the_next_change():
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), nn.Linear(4, 2))
    before = {name: each.clone() for name, each in model.named_buffers()}
    changes = [fewer_samples(8, 16), freeze(["0"], ["1"])]
    kept, left_out = checked(training_of(model, torch.rand(16, 4)), changes, 60.0)
    assert ([each.change.name for each in kept], left_out) == ([each.name for each in changes], {})
    assert "move otherwise" not in kept[1].change.effect
    assert all(torch.equal(before[name], each) for name, each in model.named_buffers())


def test_the_gradient_of_x_must_stay_where_it_is_tracked():
    model, x = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)), torch.rand(8, 4, requires_grad=True)
    (why,) = reasons(model, x, without_recording(["0"], ["1"]))
    assert why.endswith("x gets no gradient")


def test_steps_of_a_sequence_are_no_samples():
    class Recurrent(nn.LSTM):
        def forward(self, x):
            return super().forward(x)[0]

    (why,) = reasons(Recurrent(4, 4), torch.rand(12, 3, 4), fewer_samples(6, 12))
    assert "results of samples depend on each other" in why

    class Small(nn.Linear):
        """Samples meet in values of any scale."""

        def forward(self, x):
            return super().forward(x).softmax(0) * 1e-5

    (why,) = reasons(Small(4, 2), torch.rand(8, 4), fewer_samples(4, 8))
    assert "results of samples depend on each other" in why


def test_a_model_that_is_random_by_a_generator_of_its_own_is_left_alone_with_the_reason():
    generator = torch.Generator()

    class Random(nn.Linear):
        def forward(self, x):
            return super().forward(x) * torch.rand(1, generator=generator)

    model = nn.Sequential(nn.Linear(4, 4), Random(4, 2))
    (why,) = reasons(model, torch.rand(8, 4), freeze(["0"], ["1"]))
    assert why.endswith("the model gives another result or gradient at each call")
    # NumPy's generator is seeded as torch's is.

    class Seeded(nn.Linear):
        def forward(self, x):
            return super().forward(x) * float(numpy.random.rand())

    model = nn.Sequential(nn.Linear(4, 4), Seeded(4, 2))
    kept, _ = checked(training_of(model, torch.rand(8, 4)), [freeze(["0"], ["1"])], 60.0)
    assert len(kept) == 1
