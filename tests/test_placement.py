"""The one-neuron predictor: three implementations, one descent, and a loss that holds for any logit."""

import doctest
import io
import itertools
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gradbench import placement
from gradbench.placement import (
    CGPA,
    COHORT_BIAS,
    COHORT_WEIGHT,
    PLACED,
    ModulePlacementPredictor,
    NumpyPlacementPredictor,
    TensorPlacementPredictor,
    bar,
    binary_cross_entropy,
    clamped_loss,
    make_cohort,
    scratch,
    sigmoid,
    tensors,
)
from gradbench.placement.bar import watching

PREDICTORS = (NumpyPlacementPredictor, TensorPlacementPredictor, ModulePlacementPredictor)
each_predictor = pytest.mark.parametrize("make", PREDICTORS)
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])

# Anyone, placed or not, and the longest step that drives no two predictors apart with a CGPA up to 10.
cohorts = st.lists(st.tuples(st.floats(0, 10), st.booleans()), min_size=1, max_size=20)
LONGEST_STEP = 8 / 101


def exact_loss(weight, bias, x, placed):
    """The mean loss in float64, by another formula than those under test."""
    signs = 1 - 2 * placed
    return float(numpy.logaddexp(0, signs * (weight * x + bias)).mean())


def gradient(predictor, x, placed):
    """Weight's and bias's gradients, from the step that one epoch takes with them."""
    before = numpy.array([predictor.weight, predictor.bias])
    predictor.epoch(predictor.prepare(x, placed))
    return (before - [predictor.weight, predictor.bias]) / predictor.learning_rate


# Implementations against each other.


@each_dtype
@pytest.mark.parametrize("seed", [None, 0, 1, 2])
@pytest.mark.parametrize("samples", [5, 10_000])
def test_the_three_arrive_at_the_same_parameters(samples, seed, dtype):
    x, placed = (CGPA, PLACED) if samples == 5 else make_cohort(samples)
    fits = [make(seed=seed, dtype=dtype, epochs=200).fit(x, placed) for make in PREDICTORS]
    for one, other in itertools.combinations(fits, 2):
        bound = one.rounding_bound(x)
        assert abs(one.weight - other.weight) <= bound
        assert abs(one.bias - other.bias) <= bound
        # The loss slopes by at most sqrt(mean(x² + 1)), here below 8.
        numpy.testing.assert_allclose(one.losses, other.losses, rtol=0, atol=8 * bound)


@settings(deadline=None, max_examples=40)
@given(cohorts, st.floats(1e-3, LONGEST_STEP), st.integers(0, 1000))
def test_the_three_agree_on_any_cohort(cohort, learning_rate, seed):
    x, placed = (numpy.array(each, dtype=float) for each in zip(*cohort, strict=True))
    fits = [make(learning_rate=learning_rate, epochs=20, seed=seed, dtype="float64") for make in PREDICTORS]
    for fit in fits:
        fit.fit(x, placed)
    bound = fits[0].rounding_bound(x)
    assert bound < 1e-12
    for fit in fits[1:]:
        assert abs(fit.weight - fits[0].weight) <= bound
        assert abs(fit.bias - fits[0].bias) <= bound


@each_predictor
def test_single_precision_is_where_double_precision_is_within_the_bound(make):
    single, double = (make(dtype=dtype).fit(CGPA, PLACED) for dtype in ("float32", "float64"))
    assert 0 < abs(single.bias - double.bias) <= single.rounding_bound(CGPA)
    assert abs(single.weight - double.weight) <= single.rounding_bound(CGPA)


def test_the_bound_tells_a_wrong_step_from_rounding():
    right = NumpyPlacementPredictor(dtype="float64").fit(CGPA, PLACED)
    wrong = NumpyPlacementPredictor(dtype="float64", learning_rate=0.1 * (1 + 1e-9)).fit(CGPA, PLACED)
    assert abs(right.bias - wrong.bias) > right.rounding_bound(CGPA)


def test_the_bound_grows_with_the_epochs_and_is_infinite_for_a_step_too_long():
    short, long = (NumpyPlacementPredictor(epochs=epochs).fit(CGPA, PLACED) for epochs in (10, 1000))
    assert 0 < short.rounding_bound(CGPA) < long.rounding_bound(CGPA)
    assert NumpyPlacementPredictor().rounding_bound(CGPA) == 0
    limit = 8 / float((CGPA**2 + 1).mean())
    assert math.isfinite(NumpyPlacementPredictor(learning_rate=0.999 * limit).rounding_bound(CGPA))
    assert NumpyPlacementPredictor(learning_rate=1.001 * limit).rounding_bound(CGPA) == math.inf


# Gradients and losses against what does not come from here.


@each_predictor
@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("samples", [1, 5, 1000])
def test_gradients_are_those_of_autograd_and_of_finite_differences(make, samples, seed):
    x, placed = make_cohort(samples, seed=7)
    predictor = make(seed=seed, dtype="float64", learning_rate=1.0)
    weight, bias = predictor.weight, predictor.bias
    ours = gradient(predictor, x, placed)

    parameters = torch.tensor([weight, bias], dtype=torch.float64, requires_grad=True)
    logits = parameters[0] * torch.from_numpy(x) + parameters[1]
    loss = -F.logsigmoid(torch.from_numpy(2 * placed - 1) * logits).mean()
    (autograd,) = torch.autograd.grad(loss, [parameters])
    numpy.testing.assert_allclose(ours, autograd.numpy(), rtol=1e-12, atol=1e-13)

    # The error of a central difference goes with the square of its step, its rounding with the inverse.
    h = 1e-5
    differences = [
        (exact_loss(weight + a, bias + b, x, placed) - exact_loss(weight - a, bias - b, x, placed)) / (2 * h)
        for a, b in ((h, 0), (0, h))
    ]
    numpy.testing.assert_allclose(ours, differences, rtol=1e-7, atol=1e-8)


@each_predictor
@each_dtype
def test_an_epoch_takes_the_mean_gradient_times_the_rate_and_returns_the_loss_before_it(make, dtype):
    predictor = make(learning_rate=0.25, dtype=dtype)
    data = predictor.prepare([2.0, 4.0, 6.0], [0, 1, 1])
    assert float(predictor.epoch(data)) == pytest.approx(math.log(2), rel=1e-6)
    # At 0 every p is a half: the errors are 1/2, -1/2, -1/2.
    assert predictor.weight == pytest.approx(0.25 * 4 / 3, rel=1e-6)
    assert predictor.bias == pytest.approx(0.25 / 6, rel=1e-6)
    assert predictor.epochs_run == 1
    # The second is taken from there, with a gradient of its own alone.
    weight, bias = predictor.weight, predictor.bias
    x, placed = numpy.array([2.0, 4.0, 6.0]), numpy.array([0, 1, 1])
    assert float(predictor.epoch(data)) == pytest.approx(exact_loss(weight, bias, x, placed), rel=1e-6)
    errors = 1 / (1 + numpy.exp(-(weight * x + bias))) - placed
    assert predictor.weight == pytest.approx(weight - 0.25 * (errors * x).mean(), rel=1e-6)
    assert predictor.bias == pytest.approx(bias - 0.25 * errors.mean(), rel=1e-5)
    assert predictor.epochs_run == 2


def test_a_loss_is_returned_in_the_implementations_own_form():
    assert NumpyPlacementPredictor().epoch(NumpyPlacementPredictor().prepare(CGPA, PLACED)).dtype == "float32"
    for make in (TensorPlacementPredictor, ModulePlacementPredictor):
        predictor = make()
        loss = predictor.epoch(predictor.prepare(CGPA, PLACED))
        assert loss.shape == ()
        assert loss.dtype == torch.float32
        # What is kept of an epoch does not keep its graph.
        assert loss.grad_fn is None


@each_dtype
def test_numpy_stays_in_its_dtype(dtype):
    predictor = NumpyPlacementPredictor(dtype=dtype, seed=0)
    data = predictor.prepare(CGPA, PLACED)
    assert [each.dtype for each in data] == [dtype, dtype]
    assert [predictor.epoch(data).dtype for _ in range(3)] == [dtype] * 3
    assert predictor._weight.dtype == predictor._bias.dtype == dtype
    assert sigmoid(data[0]).dtype == binary_cross_entropy(*data).dtype == dtype


@given(
    st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False, width=32), st.booleans()), min_size=1)
)
def test_the_loss_and_the_sigmoid_hold_for_any_logit_in_single_precision(samples):
    logits, placed = (numpy.array(each, dtype=numpy.float32) for each in zip(*samples, strict=True))
    # The mean of a few logits near the largest number there is would overflow in the sum.
    for z, y in zip(logits[:, None], placed[:, None], strict=True):
        exact = exact_loss(float(z[0]), 0.0, numpy.ones(1), y.astype(float))
        tiny = float(numpy.finfo(numpy.float32).tiny)
        assert float(binary_cross_entropy(z, y)) == pytest.approx(exact, rel=1e-6, abs=tiny)
    exact = [math.exp(min(z, 0)) / (1 + math.exp(-abs(z))) for z in map(float, logits)]
    numpy.testing.assert_allclose(sigmoid(logits), exact, rtol=1e-6, atol=tiny)


@each_predictor
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [20.0, 1000.0, 1e30])
def test_an_epoch_is_right_at_logits_far_from_zero(make, scale, dtype):
    predictor = make(dtype=dtype, learning_rate=1.0)
    predictor._set(1.0, 0.0)
    x, placed = numpy.array([scale, -scale, scale, -scale]), numpy.array([0.0, 1.0, 1.0, 0.0])
    assert float(predictor.epoch(predictor.prepare(x, placed))) == pytest.approx(scale / 2, rel=1e-6)
    # Two samples of four are wrong by 1, on both sides.
    assert predictor.weight == pytest.approx(1 - scale / 2, rel=1e-6)
    assert predictor.bias == pytest.approx(0.0, abs=1e-6)


# The loss as the guide writes it.


def clamped(logit, placed, dtype=torch.float32):
    """The guide's loss of one sample, and its slope."""
    z = torch.tensor([logit], dtype=dtype, requires_grad=True)
    loss = clamped_loss(z, torch.tensor([placed], dtype=dtype))
    loss.backward()
    return loss.item(), z.grad.item()


def test_the_clamped_loss_is_the_stable_one_where_nothing_is_rounded_to_one():
    logits = torch.linspace(-30, 30, 61, dtype=torch.float64)
    for placed in (0.0, 1.0):
        targets = torch.full_like(logits, placed)
        expected = binary_cross_entropy(logits.numpy(), targets.numpy())
        assert clamped_loss(logits, targets).item() == pytest.approx(expected, rel=1e-3)


def test_the_clamped_loss_is_infinite_or_nan_in_single_precision_where_the_stable_one_is_right():
    assert clamped(20.0, 0.0) == (math.inf, math.inf)
    assert all(map(math.isnan, clamped(20.0, 1.0)))
    logits = numpy.float32([20.0])
    assert float(binary_cross_entropy(logits, numpy.float32([0.0]))) == 20.0
    assert float(binary_cross_entropy(logits, numpy.float32([1.0]))) == pytest.approx(math.exp(-20), rel=1e-6)
    # In double precision the clamp does hold there.
    assert clamped(20.0, 0.0, torch.float64)[0] == pytest.approx(20.0, rel=1e-6)


def test_the_clamped_loss_begins_to_fail_where_one_plus_the_exponential_rounds_to_one():
    edge = 24 * math.log(2)  # e^-z is half of the distance from 1 to the next number, 2^-23
    assert math.isfinite(clamped(edge - 0.01, 0.0)[0])
    assert not math.isfinite(clamped(edge + 0.01, 0.0)[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_clamped_loss_stands_still_where_it_is_clamped(dtype):
    loss, slope = clamped(-40.0, 1.0, dtype)
    assert loss == pytest.approx(-math.log(1e-15), rel=1e-6)
    assert slope == 0.0
    assert clamped(-34.0, 1.0, dtype)[1] == pytest.approx(-1.0, rel=1e-6)


@pytest.mark.parametrize(("dtype", "logit"), [(torch.float32, -89.0), (torch.float64, -710.0)])
def test_the_clamped_loss_has_no_slope_where_the_exponential_overflows(dtype, logit):
    assert math.isnan(clamped(logit, 1.0, dtype)[1])
    assert clamped(logit + 1, 1.0, dtype)[1] == 0.0


# Fitting.


@each_predictor
@each_dtype
def test_a_thousand_epochs_on_the_five_samples_learn(make, dtype):
    predictor = make(learning_rate=0.1, epochs=1000, dtype=dtype).fit(CGPA, PLACED)
    assert predictor.epochs_run == 1000
    assert predictor.losses.shape == (1000,)
    assert predictor.losses[0] == pytest.approx(math.log(2), rel=1e-6)
    # As the guide prints it, every hundredth.
    printed = predictor.losses[::100]
    assert (printed[1:] < printed[:-1]).all()
    high, low = predictor.predict([7.5, 5.0])
    assert high > low
    assert predictor.losses[-1] == pytest.approx(
        exact_loss(predictor.weight, predictor.bias, CGPA, PLACED), abs=1e-4
    )
    print(
        f"\n{make.__name__} {dtype}: weight {predictor.weight:.6f}, bias {predictor.bias:.6f}, "
        f"loss {predictor.losses[-1]:.6f}, p(7.5) {high:.6f}, p(5.0) {low:.6f}"
    )


@each_predictor
def test_fitting_again_starts_again(make):
    predictor = make(seed=4, epochs=30).fit(CGPA, PLACED)
    first = predictor.weight, predictor.bias, predictor.losses.tolist()
    predictor.fit(CGPA, PLACED)
    assert (predictor.weight, predictor.bias, predictor.losses.tolist()) == first
    assert predictor.epochs_run == 30


@each_predictor
def test_a_fit_is_its_epochs(make):
    fitted = make(epochs=7, seed=1, dtype="float64").fit(CGPA, PLACED)
    stepped = make(seed=1, dtype="float64")
    data = stepped.prepare(CGPA, PLACED)
    losses = [float(stepped.epoch(data)) for _ in range(7)]
    assert (stepped.weight, stepped.bias) == (fitted.weight, fitted.bias)
    assert losses == fitted.losses.tolist()
    numpy.testing.assert_array_equal(stepped.predict(CGPA), fitted.predict(CGPA))


@each_dtype
def test_the_start_is_the_same_for_all_and_a_standard_normal_one(dtype):
    for seed in (None, 0, 5):
        starts = {(each.weight, each.bias) for each in (make(seed=seed, dtype=dtype) for make in PREDICTORS)}
        assert len(starts) == 1
        if seed is None:
            assert starts == {(0.0, 0.0)}
    starts = numpy.array(
        [(each.weight, each.bias) for each in (NumpyPlacementPredictor(seed=seed) for seed in range(400))]
    )
    # Four standard errors of a mean and of a standard deviation of 800 draws.
    assert abs(starts.mean()) < 4 / math.sqrt(800)
    assert abs(starts.std() - 1) < 4 / math.sqrt(1600)
    assert abs(numpy.corrcoef(starts.T)[0, 1]) < 4 / math.sqrt(400)


@each_predictor
def test_the_callers_random_numbers_stay_theirs(make):
    torch.manual_seed(0)
    numpy.random.seed(0)
    expected = torch.rand(1).item(), numpy.random.rand()
    torch.manual_seed(0)
    numpy.random.seed(0)
    make(seed=3, epochs=2).fit(CGPA, PLACED)
    assert (torch.rand(1).item(), numpy.random.rand()) == expected


@each_predictor
def test_a_fit_stops_after_the_first_epoch_that_improves_by_less_than_the_tolerance(make):
    full = make(dtype="float64").fit(CGPA, PLACED)
    improvements = full.losses[:-1] - full.losses[1:]
    stopped = make(dtype="float64", tolerance=1e-4).fit(CGPA, PLACED)
    assert 1 < stopped.epochs_run < 1000
    assert stopped.epochs_run == int((improvements < 1e-4).argmax()) + 2
    assert stopped.losses.tolist() == full.losses[: stopped.epochs_run].tolist()


@each_predictor
def test_a_tolerance_of_zero_stops_when_the_loss_rises(make):
    # Steps so long that the second overshoots.
    predictor = make(learning_rate=1.0, tolerance=0.0).fit(CGPA, PLACED)
    assert predictor.epochs_run == 2
    assert predictor.losses[1] > predictor.losses[0]
    assert make(learning_rate=1.0, tolerance=None, epochs=5).fit(CGPA, PLACED).epochs_run == 5


@each_predictor
def test_the_caller_keeps_the_samples(make):
    x, placed = CGPA.astype("float32"), PLACED.astype("float32")
    predictor = make()
    data = predictor.prepare(x, placed)
    x[:] = 0
    predictor.epoch(data)
    assert predictor.weight == pytest.approx(0.1 * float(((PLACED - 0.5) * CGPA).mean()), rel=1e-6)
    assert not x.any()


@each_predictor
@pytest.mark.parametrize(
    "form", [list, tuple, numpy.array, torch.tensor, lambda each: numpy.array(each)[::-1]]
)
def test_samples_come_in_any_form(make, form):
    x, placed = form([9.11, 8.9, 7.0, 6.56, 4.56]), form([True, True, False, True, False])
    predictor = make(epochs=3).fit(x, placed)
    expected = make(epochs=3).fit(CGPA, PLACED)
    # In another order the sums round otherwise.
    assert predictor.weight == pytest.approx(expected.weight, rel=1e-5)


@each_predictor
def test_everyone_placed_is_a_cohort_like_another(make):
    predictor = make().fit([5.0, 7.0], [1, 1])
    assert predictor.losses[-1] < predictor.losses[0]


# Predicting.


@each_predictor
@each_dtype
def test_predictions_have_the_shape_of_what_is_asked(make, dtype):
    predictor = make(dtype=dtype).fit(CGPA, PLACED)
    many = predictor.predict(CGPA)
    assert isinstance(many, numpy.ndarray)
    assert many.shape == (5,)
    assert many.dtype == dtype
    one = predictor.predict(7.5)
    assert one.shape == ()
    assert one.dtype == dtype
    logit = predictor.weight * 7.5 + predictor.bias
    assert float(one) == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-5)


@each_predictor
def test_certain_predictions_are_zero_and_one_without_a_warning(make):
    predictor = make().fit(CGPA, PLACED)
    predictor._set(10.0, 0.0)
    assert predictor.predict([-3e38, -1e4, 0.0, 1e4, 3e38]).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


# Watching.


@each_predictor
def test_a_callback_hears_of_each_epoch(make):
    heard = []
    predictor = make(epochs=4).fit(CGPA, PLACED, progress=lambda *each: heard.append(each))
    assert [epoch for epoch, _ in heard] == [1, 2, 3, 4]
    assert [loss for _, loss in heard] == predictor.losses.tolist()
    assert all(type(loss) is float for _, loss in heard)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def open_terminal(monkeypatch, patience=0.0):
    """Make standard error a terminal, from here on: a fixture would do so too early for pytest's capture."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(bar, "PATIENCE", patience)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return stream


def test_a_bar_appears_when_patience_is_over_and_ends_at_the_last_epoch(monkeypatch):
    terminal = open_terminal(monkeypatch)
    predictor = NumpyPlacementPredictor(epochs=50).fit(CGPA, PLACED)
    assert "50/50" in terminal.getvalue()
    assert f"loss {predictor.losses[-1]:.6f}" in terminal.getvalue()


def test_no_bar_appears_before_that(monkeypatch):
    terminal = open_terminal(monkeypatch, patience=3600.0)
    NumpyPlacementPredictor(epochs=50).fit(CGPA, PLACED)
    assert terminal.getvalue() == ""


def test_no_bar_appears_beside_a_callback(monkeypatch):
    terminal = open_terminal(monkeypatch)
    NumpyPlacementPredictor(epochs=50).fit(CGPA, PLACED, progress=lambda epoch, loss: None)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_no_bar_appears_where_there_is_no_terminal(stream, monkeypatch):
    open_terminal(monkeypatch)
    monkeypatch.setattr(sys, "stderr", stream)
    NumpyPlacementPredictor(epochs=50).fit(CGPA, PLACED)
    assert stream is None or stream.getvalue() == ""


def interrupted():
    with watching(20, None) as report:
        report(3, 0.25)
        raise KeyboardInterrupt


def test_the_terminal_is_given_back_when_a_fit_is_interrupted(monkeypatch):
    terminal = open_terminal(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    written = terminal.getvalue()
    assert "3/20" in written
    hide, show = "\x1b[?25l", "\x1b[?25h"
    assert written.rindex(show) > written.rindex(hide)


def test_a_bar_is_not_drawn_for_every_epoch(monkeypatch):
    open_terminal(monkeypatch)
    monkeypatch.setattr(bar, "INTERVAL", 3600.0)
    drawn = []
    monkeypatch.setattr(bar.Bar, "_draw", lambda self, shown: drawn.append(self._last[0]))
    NumpyPlacementPredictor(epochs=50).fit(CGPA, PLACED)
    assert drawn == [1, 50]


# What is refused, in one line: expected, got, what to do.


def refused(call, *parts):
    with pytest.raises(ValueError, match=r"^expected ") as caught:
        call()
    message = str(caught.value)
    assert re.fullmatch(r"expected [^;\n]+; [^;\n]+; [^;\n]+", message), message
    for part in parts:
        assert part in message


@each_predictor
@pytest.mark.parametrize(
    ("x", "placed", "parts"),
    [
        ([], [], ["at least one sample", "empty x"]),
        ([1.0], [], ["empty placed"]),
        ([1.0, 2.0], [1], ["one length", "2 and 1"]),
        ([1.0, math.nan], [0, 1], ["x finite", "nan"]),
        ([1.0, -math.inf], [0, 1], ["x finite", "-inf"]),
        ([1.0, 1e39], [0, 1], ["x finite in float32", "1e+39"]),
        ([1.0, 2.0], [0, math.nan], ["placed finite", "nan"]),
        ([1.0, 2.0], [0, 0.5], ["0 or 1 in placed", "0.5"]),
        ([1.0, 2.0], [-1, 1], ["0 or 1 in placed", "-1"]),
        ([[1.0], [2.0]], [0, 1], ["x of shape (samples,)", "(2, 1)"]),
        ([1.0, 2.0], [[0, 1]], ["placed of shape (samples,)", "(1, 2)"]),
        (1.0, 1, ["x of shape (samples,)", "()"]),
        (["9.1"], [1], ["real numbers in x", "str"]),
        ([1j], [1], ["real numbers in x", "complex128"]),
        ([1.0, None], [0, 1], ["real numbers in x", "object"]),
        ([[1.0], [1.0, 2.0]], [0, 1], ["numbers in x", "list"]),
        (torch.ones(2, requires_grad=True), [0, 1], ["numbers in x", "Tensor"]),
        (torch.ones(2, dtype=torch.bfloat16), [0, 1], ["numbers in x", "Tensor"]),
    ],
)
def test_samples_that_cannot_be_learned_from_are_refused(make, x, placed, parts):
    predictor = make(epochs=2)
    refused(lambda: predictor.fit(x, placed), *parts)
    refused(lambda: predictor.prepare(x, placed), *parts)


@each_predictor
@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0},
        {"learning_rate": -0.1},
        {"learning_rate": math.nan},
        {"learning_rate": math.inf},
        {"learning_rate": "0.1"},
        {"learning_rate": 1e-60},
        {"learning_rate": 1e60},
        {"epochs": 0},
        {"epochs": -5},
        {"epochs": 10.0},
        {"epochs": None},
        {"tolerance": -1e-9},
        {"tolerance": math.nan},
        {"tolerance": "none"},
        {"seed": -1},
        {"seed": 1.5},
        {"dtype": "float16"},
        {"dtype": torch.float32},
    ],
)
def test_settings_that_mean_nothing_are_refused(make, settings):
    ((name, value),) = settings.items()
    refused(lambda: make(**settings), name, f"got {value!r}")


@each_predictor
def test_settings_of_numpy_are_numbers(make):
    predictor = make(
        learning_rate=numpy.float32(0.5),
        epochs=numpy.int64(2),
        tolerance=numpy.float64(0),
        seed=numpy.int64(1),
    )
    assert predictor.fit([1.0, 2.0], [0, 1]).epochs_run == 2


@each_predictor
def test_predicting_before_a_fit_is_refused(make):
    refused(lambda: make().predict(7.5), "trained predictor", "call fit")
    predictor = make(epochs=1).fit(CGPA, PLACED)
    predictor.restart()
    assert len(predictor.losses) == 0
    refused(lambda: predictor.predict(7.5), "trained predictor", "call fit")


@each_predictor
@pytest.mark.parametrize("x", [math.nan, [1.0, math.inf], [[1.0]], [], "7.5", None, [[1.0], []]])
def test_predicting_for_what_is_no_number_is_refused(make, x):
    predictor = make(epochs=1).fit(CGPA, PLACED)
    refused(lambda: predictor.predict(x), "x")


@each_predictor
@pytest.mark.parametrize(
    ("learning_rate", "x", "epochs", "reached"),
    [
        # The logits of the second epoch overflow to both infinities; the loss is NaN.
        (1e38, [1e30, -1e30, 1e30], 9, 2),
        # The loss of the last epoch is finite, and the step from it is not.
        (3e38, [100.0, 100.0, -100.0], 1, 1),
    ],
)
def test_a_fit_that_leaves_the_numbers_is_refused_and_forgotten(make, learning_rate, x, epochs, reached):
    predictor = make(learning_rate=learning_rate, epochs=epochs)
    refused(
        lambda: predictor.fit(x, [1, 0, 0]), f"range of float32 in epoch {reached}", "learning_rate below"
    )
    assert (predictor.weight, predictor.bias, predictor.epochs_run, len(predictor.losses)) == (0.0, 0.0, 0, 0)
    refused(lambda: predictor.predict(7.5), "call fit")


# The data.


def test_the_five_samples_are_those_of_the_guide_and_cannot_be_changed():
    assert CGPA.tolist() == [9.11, 8.9, 7.0, 6.56, 4.56]
    assert PLACED.tolist() == [1, 1, 0, 1, 0]
    for array in (CGPA, PLACED):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_cohort_comes_from_the_model_that_is_stated():
    samples = 200_000
    cgpa, placed = make_cohort(samples)
    assert cgpa.shape == placed.shape == (samples,)
    assert cgpa.dtype == placed.dtype == "float64"
    assert 0 <= cgpa.min() <= cgpa.max() == 10
    assert set(placed) == {0.0, 1.0}
    # Clipping at 10, two deviations up, moves the mean by under 0.013, the deviation by under 0.05.
    assert abs(cgpa.mean() - 7) < 0.03
    assert abs(cgpa.std() - 1.5) < 0.06
    # Where parameters are right, the gradient is 0 but for chance: here within four standard errors.
    probability = 1 / (1 + numpy.exp(-(COHORT_WEIGHT * cgpa + COHORT_BIAS)))
    for feature in (numpy.ones(samples), cgpa - 7, (cgpa - 7) ** 2):
        error = math.sqrt((probability * (1 - probability) * feature**2).sum())
        assert abs(((placed - probability) * feature).sum()) < 4 * error


def test_the_seed_settles_a_cohort():
    first, second, other = make_cohort(100, seed=1), make_cohort(100, seed=1), make_cohort(100, seed=2)
    assert all(numpy.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not any(numpy.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("samples", [0, -3, 2.5])
def test_a_cohort_of_nobody_is_refused(samples):
    refused(lambda: make_cohort(samples), "samples", str(samples))


@each_predictor
def test_a_million_samples_take_a_step(make):
    cgpa, placed = make_cohort(1_000_000)
    predictor = make(dtype="float32", epochs=1).fit(cgpa, placed)
    # The root of a million roundings of 6e-8, of which half cancel.
    assert predictor.weight == pytest.approx(0.1 * float(((placed - 0.5) * cgpa).mean()), rel=1e-3)


# A device.


@pytest.mark.parametrize("make", [TensorPlacementPredictor, ModulePlacementPredictor])
def test_samples_parameters_and_loss_are_on_the_device_that_is_named(make):
    # A device of tensors without data, which torch does not let meet those of another.
    predictor = make(device="meta")
    x, placed = predictor.prepare(CGPA, PLACED)
    loss = predictor.epoch((x, placed))
    assert {each.device.type for each in (x, placed, loss)} == {"meta"}
    assert predictor.epochs_run == 1


@pytest.mark.parametrize("device", ["cuda:99", "nowhere"])
def test_a_device_that_there_is_not_is_refused(device):
    refused(lambda: TensorPlacementPredictor(device=device), "a device that torch can use", device)


# The module.


@pytest.mark.parametrize("module", [placement, scratch, tensors])
def test_the_examples_are_true(module):
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed


def test_the_numpy_predictor_imports_no_torch():
    code = (
        "import sys\n"
        "import gradbench.placement as placement\n"
        "predictor = placement.NumpyPlacementPredictor(epochs=3).fit(placement.CGPA, placement.PLACED)\n"
        "predictor.predict(7.5), placement.make_cohort(3), dir(placement)\n"
        "assert 'torch' not in sys.modules and 'rich' not in sys.modules\n"
        "assert placement.TensorPlacementPredictor is placement.TensorPlacementPredictor\n"
        "assert 'torch' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_all_that_is_public_is_there_and_nothing_else():
    assert all(getattr(placement, name) is not None for name in placement.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Predictor'"):
        _ = placement.Predictor


def test_the_documentation_shows_what_its_example_returns():
    page = (Path(__file__).parents[1] / "docs" / "workloads.md").read_text()
    shown = re.search(r"predict\(\[7\.5, 5\.0\]\)  # (\S+) and (\S+):", page).groups()
    predictor = NumpyPlacementPredictor(learning_rate=0.1, epochs=1000).fit(CGPA, PLACED)
    assert [f"{each:.3f}" for each in predictor.predict([7.5, 5.0])] == list(shown)
