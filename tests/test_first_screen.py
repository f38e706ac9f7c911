"""The page of a published run in a browser: its length, its first screen, its presets."""

from pathlib import Path

import pytest
from browsing import open_all, visible
from synthetic import results

from gradbench.analyse.analysis import analyse
from gradbench.record.plan import Request
from gradbench.record.results import read_results
from gradbench.report.page import render
from gradbench.report.presets import PRESETS
from studies.publish.site import navigation

# Ours are errors; those of the browser's library are its own affair.
pytestmark = pytest.mark.filterwarnings("default")

RUNS = Path(__file__).parents[1] / "reports" / "runs"


@pytest.fixture(scope="module")
def published(pages):
    """The page of the newest published run, as it is made now."""
    return pages["alone"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The page of the newest published run as it is made now: alone, and with the navigation of the site."""
    run = max(RUNS.iterdir())
    analysis = analyse(read_results(run))
    links = navigation(RUNS.parent, run / "index.html")
    assert len(links) > 3
    made = {}
    for name, site in (("alone", ()), ("in the site", links)):
        made[name] = path = tmp_path_factory.mktemp("published") / "report.html"
        path.write_text(render(analysis, path, site))
    return made


# Words of text that begin above a height; those of figures are read as a part of the figure.
WORDS_ABOVE = """height => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  let words = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode, around = node.parentElement;
    if (around.closest("svg, script, .skip") || !around.checkVisibility()) continue;
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width && box.top < height) words += node.textContent.split(/\\s+/).filter(Boolean).length;
  }
  return words;
}"""
BOTTOMS = "all => all.map(each => each.getBoundingClientRect().bottom)"


def test_the_page_of_a_standard_run_is_short(look_at, published):
    page = look_at(1440, path=published)
    assert page.complaints == []
    assert 1000 < len(page.locator("body").inner_text().split()) <= 3000
    assert page.evaluate("document.documentElement.scrollHeight") <= 9000


@pytest.mark.parametrize("kind", ["alone", "in the site"])
def test_the_first_screen_has_the_answer_its_figure_the_purposes_and_the_trust_in_few_words(
    look_at, pages, kind
):
    page = look_at(1440, path=pages[kind])
    assert 50 < page.evaluate(WORDS_ABOVE, 900) <= 250
    for part, count in (
        ("h1", 1),
        (".glance-figure svg:visible", 1),
        (".purposes .use", 4),
        (".trust > summary", 1),
    ):
        bottoms = page.locator(part).evaluate_all(BOTTOMS)
        assert len(bottoms) == count, part
        assert max(bottoms) <= 900, part
    # The list begins there, so that a reader sees that the page goes on, and little is blank before it.
    assert max(page.locator(".presets a").evaluate_all(BOTTOMS)) <= 900
    trust, end = (page.locator(part).evaluate_all(BOTTOMS)[0] for part in (".trust", "#answer"))
    assert 0 < end - trust <= 70


@pytest.mark.parametrize("kind", ["alone", "in the site"])
def test_a_phone_shows_the_answer_the_figure_what_to_use_and_the_trust_on_its_first_screen(
    open_page, pages, kind
):
    page = open_page(360, path=pages[kind])
    page.set_viewport_size({"width": 360, "height": 800})
    for part, count in (("h1", 1), (".glance-figure svg:visible", 1), (".purposes .use", 4)):
        bottoms = page.locator(part).evaluate_all(BOTTOMS)
        assert len(bottoms) == count, part
        assert max(bottoms) <= 800, part
    assert page.locator(".trust > summary").evaluate("each => each.getBoundingClientRect().top") < 800
    # The navigation goes on to the right.
    assert all(height < 40 for height in page.locator(".site").evaluate_all(BOTTOMS))
    assert page.locator(".on-narrow").is_visible()
    assert not page.locator(".on-wide").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    open_all(page, "details")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_preset_shows_its_topics_and_hides_the_others(open_page, published):
    page = open_page(1440, path=published)
    claims, sections = ("#found .claim", "section[data-topic]")
    every = {part: page.locator(part).count() for part in (claims, sections)}
    for preset in PRESETS:
        page.locator(f'[data-preset="{preset.id}"]').click()
        assert page.locator(".presets [aria-current]").inner_text() == preset.label
        for part, count in every.items():
            topics = page.locator(f"{part}:visible").evaluate_all(
                "all => all.map(each => each.dataset.topic.split(' '))"
            )
            if preset.topics:
                assert 0 < len(topics) < count
                assert all(set(of) & set(preset.topics) for of in topics)
            else:
                assert len(topics) == count
        if preset.topics:
            # Of each topic that it asks for there is a claim.
            shown = page.locator(f"{claims}:visible").evaluate_all(
                "all => all.map(each => each.dataset.topic)"
            )
            assert set(shown) <= set(preset.topics)
            assert f"{visible(page, '.claim[data-verdict]')} of" in page.locator("#shown").inner_text()
    assert page.locator("#shown").inner_text() == ""


def test_a_run_with_little_has_no_room_for_what_it_lacks(open_page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(
        render(analyse(results({"no_grad": 1.4}, request=Request(("elementwise",), (), ("small",)))))
    )
    page = open_page(1440, path=path)
    assert page.locator(".glance-figure").count() == 0
    assert visible(page, ".purposes .use") == 1
    # The list follows at once.
    assert page.locator("#found").evaluate("each => each.getBoundingClientRect().top") < 450
