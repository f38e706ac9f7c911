"""What training needs beside activations, and the batch that fits: by arithmetic, and by execution."""

import pytest
import torch
from torch import nn

from gradbench.measure import batches
from gradbench.measure.batches import batch_peaks, largest, most_samples
from gradbench.measure.optimizer_cost import CopiedOptimizer, NotCounted, without_optimizer
from gradbench.measure.training import Training
from gradbench.record.anatomy import Anatomy, BatchPeak, OptimizerCost, Trained

FLOAT = 4


def training(samples=8):
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    return Training(model, torch.rand(samples, 16), lambda model, x: model(x), lambda y: y.square().mean())


PARAMETERS = (16 * 32 + 32, 32 * 4 + 4)


def test_adam_keeps_two_moments_and_a_step_count_for_each_parameter_and_plain_sgd_nothing():
    trained = training()
    before = {name: each.clone() for name, each in trained.model.state_dict().items()}
    adam = CopiedOptimizer(torch.optim.Adam(trained.model.parameters()), trained, 2).cost
    assert (adam.name, adam.state) == ("Adam", 2 * sum(PARAMETERS) * FLOAT + 4 * FLOAT)
    assert CopiedOptimizer(torch.optim.SGD(trained.model.parameters(), 0.1), trained, 2).cost.state == 0
    # The model of the file is as it was.
    assert all(torch.equal(before[name], each) for name, each in trained.model.state_dict().items())
    assert all(each.grad is None for each in trained.model.parameters())


def test_what_is_frozen_needs_neither_gradient_nor_state_nor_a_part_of_a_step():
    trained = training()
    copied = CopiedOptimizer(torch.optim.Adam(trained.model.parameters()), trained, 1)
    head = copied.of({"2.weight", "2.bias"}, counts_peak=True)
    assert (head.gradients, head.state) == (PARAMETERS[1] * FLOAT, (2 * PARAMETERS[1] + 2) * FLOAT)
    assert 0 < head.peak < copied.cost.peak
    assert copied.of({"2.weight"}, counts_peak=False).peak == copied.cost.peak
    assert without_optimizer(trained, {"2.weight", "2.bias"}) == Trained(PARAMETERS[1] * FLOAT, 0, 0)


def test_an_optimizer_of_another_model_is_no_cost_of_nothing():
    trained = training()
    with pytest.raises(NotCounted, match="it holds no parameter of the model"):
        CopiedOptimizer(torch.optim.Adam(training().model.parameters()), trained, 1)
    with pytest.raises(NotCounted, match="TypeError"):
        CopiedOptimizer(torch.optim.LBFGS(trained.model.parameters()), trained, 1)


def test_the_highest_is_the_step_or_the_optimizers_whichever_holds_more():
    anatomy = Anatomy(
        True, (), 100, 10, 8, batch=6, gradients=100, optimizer=OptimizerCost("Adam", 200, 40, 0.0),
        changed={"freeze": Trained(30, 60, 20)},
    )  # fmt: skip
    assert anatomy.stands() == 100 + 10 + 8 + 200
    assert anatomy.highest(500) == 318 + 500
    assert anatomy.highest(50) == 318 + 100 + 40
    assert anatomy.highest(0, "freeze") == 100 + 10 + 8 + 60 + 30 + 20
    # x is a part of its storage: the rest stands whatever the batch.
    assert anatomy.stands(samples=0.5) == 100 + 10 + (8 - 6) + 3 + 200


@pytest.mark.parametrize(
    ("peaks", "room", "fits"),
    [
        ([(2, 24), (4, 28), (8, 36)], 120, 50),
        ([(2, 24), (8, 36)], 20, None),
        ([(2, 24), (4, 40), (8, 36)], 120, None),
        ([(8, 36)], 120, None),
        ([(2, 24), (8, 24)], 120, None),
    ],
)
def test_a_line_through_the_peaks_says_how_many_samples_fit(peaks, room, fits):
    assert most_samples([BatchPeak(*each) for each in peaks], room) == fits


def test_a_batch_is_named_only_when_it_was_executed_and_fits(monkeypatch):
    """A peak that is flat while gradients are most of it, and then grows by 10 bytes a sample."""
    executed = []

    def peak(training, samples):
        executed.append(samples)
        return max(400, 10 * samples)

    monkeypatch.setattr(batches, "_peak", peak)

    known = BatchPeak(60, 600)

    def find(guess, fit=1_000, in_time=lambda n: True):
        executed.clear()
        return largest(None, guess, known, fit, lambda found: found, in_time)

    # No trial is more than twice as large as what was executed before.
    assert find(100) == (BatchPeak(100, 1_000), None)
    assert executed == [100]
    assert find(5_000) == (BatchPeak(100, 1_000), BatchPeak(120, 1_200))
    assert executed == [120, 100]
    assert find(5_000, in_time=lambda n: n < 100) == (BatchPeak(60, 600), None)
    assert executed == []
    # What is there already is too much.
    assert find(30, fit=500) == (BatchPeak(50, 500), known)


def test_peaks_of_batches_count_the_activations_of_their_samples():
    """Of many samples activations are most: each holds the hidden units and the result, at least."""
    one, two = batch_peaks(training(4_096), [2_048, 4_096], lambda n: True)
    assert (one.samples, two.samples) == (2_048, 4_096)
    assert two.peak - one.peak >= 2_048 * (32 + 4) * FLOAT
    # More than there are: its samples again.
    (more,) = batch_peaks(training(4_096), [8_192], lambda n: True)
    assert more.peak - two.peak == pytest.approx(2 * (two.peak - one.peak), rel=0.01)
