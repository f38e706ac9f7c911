"""The colours of text and lines stand out on paper, and variants differ in charts with and without colour."""

import itertools
import math

import pytest

from gradbench.report.drawing import COLOURS
from gradbench.report.glance import METHODS as GLANCED
from gradbench.report.palette import DARK, LIGHT, LOOKS, looks

LINES = [name for name in LIGHT if name.startswith("line")]
# What a reader sees of red, green and blue, in linear light (Machado, Oliveira and Fernandes, 2009).
SIGHTS = {
    "all colours": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "no green": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "no blue": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}


def light(colour):
    """Linear red, green and blue of #rrggbb."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def contrast(one, other):
    """As WCAG 2.2 defines it."""
    dark, bright = sorted(
        0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in map(light, (one, other))
    )
    return (bright + 0.05) / (dark + 0.05)


def seen(colour, sight):
    """The CIELAB coordinates of a colour as a reader with this sight sees it."""
    red, green, blue = (
        min(1.0, max(0.0, sum(weight * part for weight, part in zip(row, light(colour), strict=True))))
        for row in SIGHTS[sight]
    )
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    x, y, z = (each ** (1 / 3) if each > 0.008856 else 7.787 * each + 16 / 116 for each in (x, y, z))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out_on_paper(palette):
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for name in ("ink", "faint", "slower", "faster", "same", "link", *LINES):
        assert contrast(palette[name], palette["paper"]) >= 4.5, name


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_are_seen_apart_by_every_reader(palette, sight):
    for one, other in itertools.combinations((*LINES, "ink"), 2):
        assert math.dist(seen(palette[one], sight), seen(palette[other], sight)) > 20, (one, other)


def test_every_look_is_in_the_palettes_and_on_the_page():
    assert LIGHT.keys() == DARK.keys()
    assert {look.colour for look in LOOKS.values()} <= LIGHT.keys() & COLOURS.keys()
    assert set(LINES) <= COLOURS.keys()


def test_methods_differ_in_their_marker_alone_and_in_their_line():
    assert len({look.marker for look in LOOKS.values()}) == len(LOOKS)
    assert len({(look.colour, look.dash) for look in LOOKS.values()}) == len(LOOKS)
    # People choose between these: they differ in dash, and in colour, too.
    people = [LOOKS[name] for name in (*GLANCED, "requires_grad_false", "detach_clone")]
    assert len({look.dash for look in people}) == len({look.colour for look in people}) == len(people)


def test_a_method_looks_the_same_whatever_stands_beside_it():
    for name, look in LOOKS.items():
        assert looks(["new", name, "newer"])[name] == look


def test_names_that_nobody_knows_take_what_is_left_in_their_order():
    found = looks(["new", "tracked", "newer", "new"])
    assert list(found) == ["new", "tracked", "newer"]
    assert len(set(found.values())) == 3
    assert looks(["no_grad", "new"])["new"] == LOOKS["tracked"]
    assert looks(["tracked", "other", "another"])["other"] == found["new"]
    many = looks([*LOOKS, *"abcdefghijkl"])
    assert set(many.values()) == set(LOOKS.values())
