"""What differs between the memory of a lane in two places."""

import msgspec
import pytest

from gradbench.growth import COUNT, EXACT, Growth, growths, in_words, larger, smaller, summed_up
from gradbench.results import Memory

BEFORE = Memory("c", "lane", 800, 2, 800, 400, 0, 400, 4096, "by hand")


@pytest.mark.parametrize("figure", EXACT)
def test_every_exact_figure_is_compared_to_the_byte(figure):
    after = msgspec.structs.replace(BEFORE, **{figure: getattr(BEFORE, figure) + 64})
    (found,) = growths(BEFORE, after)
    assert found == Growth(figure, getattr(BEFORE, figure), getattr(BEFORE, figure) + 64)
    assert larger([found]) == smaller(growths(after, BEFORE)) == (figure != COUNT)
    assert not larger(growths(after, BEFORE))
    assert not smaller([found])


def test_the_resident_set_is_noise_and_not_compared():
    assert growths(BEFORE, msgspec.structs.replace(BEFORE, resident=10**9)) == ()


def test_what_is_not_known_is_no_growth_and_is_not_the_same():
    assert growths(None, BEFORE) is growths(BEFORE, None) is None
    assert in_words(None) == "–"
    assert not larger(None)


def test_growths_are_told_in_bytes_and_in_numbers_of_allocations():
    after = msgspec.structs.replace(BEFORE, saved=464, allocations=3)
    assert in_words(growths(BEFORE, after)) == "2 to 3 allocations, saved 400 B to 464 B"
    assert in_words(()) == "the same"


def test_memory_is_summed_up_over_the_lanes_of_which_it_is_known():
    grown = growths(BEFORE, msgspec.structs.replace(BEFORE, saved=464))
    assert summed_up([(), ()]) == "memory is the same to the byte in 2 lanes"
    assert (
        summed_up([grown, (), None])
        == "memory is more in 1 and less in 0 of 2 lanes of 3, of which it is known"
    )
    assert summed_up([None]) == "memory is not known"


def test_the_same_bytes_in_more_pieces_are_told_and_are_neither_more_nor_less():
    pieces = growths(BEFORE, msgspec.structs.replace(BEFORE, allocations=3))
    assert not larger(pieces)
    assert not smaller(pieces)
    assert summed_up([pieces, ()]) == (
        "memory is the same to the byte in 2 lanes; the number of allocations differs in 1"
    )
    mixed = growths(BEFORE, msgspec.structs.replace(BEFORE, allocations=1, saved=336, peak=864))
    assert larger(mixed)
    assert not smaller(mixed)
