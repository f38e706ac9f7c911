"""The classes are the guide's: small below 1,000 elements, medium to 100,000, large above."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradbench.define.sizes import CLASSES, LARGEST, parse_size, size_class
from gradbench.errors import RequestError

elements = st.integers(1, LARGEST)


@pytest.mark.parametrize(
    ("numel", "expected"),
    [
        (1, "small"),
        (999, "small"),
        (1_000, "medium"),
        (100_000, "medium"),
        (100_001, "large"),
        (LARGEST, "large"),
    ],
)
def test_a_class_ends_where_the_guide_says(numel, expected):
    assert size_class(numel) == expected


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_stays_a_name(name):
    assert parse_size(name) == [name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("1000", 1_000),
        ("1_000", 1_000),
        ("1e6", 1_000_000),
        ("1E6", 1_000_000),
        ("2.5e3", 2_500),
        ("1e10", 10**10),
    ],
)
def test_a_number_may_be_written_as_people_write_it(text, expected):
    assert parse_size(text) == [expected]
    assert type(parse_size(text)[0]) is int


@settings(deadline=None)
@given(elements)
def test_every_number_of_elements_comes_back_as_it_was(numel):
    assert parse_size(str(numel)) == parse_size(f"{numel:_}") == [numel]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1:1e7", [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000]),
        ("1_000:1e6", [1_000, 10_000, 100_000, 1_000_000]),
        ("5:5000", [5, 50, 500, 5_000]),
        ("3:4", [3, 4]),
        ("1:100:2", [1, 100]),
        ("1e3:1e9:3", [1_000, 1_000_000, 1_000_000_000]),
        ("64:4096:4", [64, 256, 1_024, 4_096]),
    ],
)
def test_a_sweep_is_evenly_spaced_in_the_logarithm(text, expected):
    assert parse_size(text) == expected


def test_a_sweep_of_fifteen_over_seven_powers_of_ten_has_one_between_each_two():
    sizes = parse_size("1:1e7:15")
    assert len(sizes) == 15
    assert sizes[::2] == parse_size("1:1e7")
    # The square root of ten times a power of ten, to the nearest whole number.
    assert sizes[1::2] == [3, 32, 316, 3_162, 31_623, 316_228, 3_162_278]


@settings(deadline=None)
@given(st.lists(elements, min_size=2, max_size=2, unique=True).map(sorted), st.integers(2, 200))
def test_a_sweep_is_sorted_without_repetition_and_has_its_ends(ends, count):
    sizes = parse_size(f"{ends[0]}:{ends[1]}:{count}")
    assert sizes == sorted(set(sizes))
    assert [sizes[0], sizes[-1]] == ends
    assert 2 <= len(sizes) <= count
    assert all(type(size) is int for size in sizes)


@settings(deadline=None)
@given(st.integers(10_000, 100_000), st.integers(2, 100_000), st.integers(2, 50))
def test_a_sweep_of_sizes_that_do_not_meet_has_as_many_as_were_asked(first, factor, count):
    # Neighbours differ by a factor of at least 2 ** (1/49) = 1.014: by 140 elements or more.
    assert len(parse_size(f"{first}:{first * factor}:{count}")) == count


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "tiny",
        "Small",
        "0",
        "-5",
        "1.5",
        "1e-3",
        "nan",
        "inf",
        "1e999",
        "1e11",
        "10_000_000_001",
        "0x10",
        "1e6 elements",
        ":",
        "1:",
        ":10",
        "1:10:",
        "1:10:x",
        "1:10:2.5",
        "1:10:-3",
        "1:10:0",
        "1:10:1",
        "1:10:201",
        "1:10:5:2",
        "10:1",
        "5:5",
        "0:10",
        "1:1e11",
        "small:large",
        "small:1e6",
    ],
)
def test_anything_else_is_refused_in_one_line_that_repeats_it(text):
    with pytest.raises(RequestError) as refused:
        parse_size(text)
    message = str(refused.value)
    assert message.startswith(f"--size {text}: ")
    assert "; got " in message
    assert "\n" not in message


def test_a_word_is_answered_with_what_was_expected():
    with pytest.raises(RequestError, match=r"expected small, medium, large, a number of elements \(1e6\)"):
        parse_size("huge")


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(max_size=12), st.text(alphabet="0123456789eE.:_-+,naif ", max_size=12)))
def test_no_text_makes_anything_but_sizes_or_a_refusal(text):
    try:
        sizes = parse_size(text)
    except RequestError:
        return
    assert sizes
    assert all(size in CLASSES or (type(size) is int and 1 <= size <= LARGEST) for size in sizes)
