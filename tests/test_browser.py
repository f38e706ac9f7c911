"""The report in a real browser: Chromium, headless, from a file."""

import shutil

import pytest
from synthetic import memory, results

from gradbench.plan import Request
from gradbench.report.page import render
from gradbench.results import Stretch, Timeline
from gradbench.traits import Observation

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="there is no Chromium; `make browser` installs it where it can"
    ),
    # Ours are errors; those of the browser's library are its own affair.
    pytest.mark.filterwarnings("default"),
]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a whole run, with everything that a report may hold."""
    made = results({"no_grad": 1.4, "tracked": 0.9}, request=Request(preset="standard"))
    memory(made, "no_grad", peak=400)
    for comparison in made.header.plan.comparisons:
        if comparison.timeline:
            lines = (Stretch("y = f(x)", (9000, 5000)), Stretch("loss.backward()", (9321, 12)))
            made.add(Timeline(comparison.id, comparison.reference.name, lines))
    made.add(Observation("persistence", "How long?", "code", "no_grad", {"x_inside": False, "x_after": True}))
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(made))
    return path


@pytest.fixture
def open_page(browser, report):
    """Open the report; what the browser has to complain of is in `page.complaints`."""
    contexts = []

    def opened(width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.complaints.append(request.url))
        page.goto(report.as_uri())
        page.complaints.remove(report.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


def visible_claims(page):
    return page.locator(".claim:visible").count()


def test_the_page_opens_from_a_file_asks_for_nothing_and_complains_of_nothing(open_page):
    page = open_page()
    page.wait_for_load_state("networkidle")
    assert page.complaints == []
    assert page.title().startswith("What gradient control costs")


def test_claims_are_filtered_by_verdict_and_by_words(open_page):
    page = open_page()
    whole = visible_claims(page)
    refuted = page.locator('.claim[data-verdict="refuted"]').count()
    assert 0 < refuted < whole
    page.locator('.filter input[data-verdict="refuted"]').uncheck()
    assert visible_claims(page) == whole - refuted
    page.locator('.filter input[data-verdict="refuted"]').check()
    page.locator("#claim-words").fill("inference_mode faster")
    assert 0 < visible_claims(page) < 5
    page.locator("#claim-words").fill("no such words")
    assert visible_claims(page) == 0
    page.locator("#claim-words").fill("")
    assert visible_claims(page) == whole


def test_every_claim_is_there_without_scripts(open_page):
    page = open_page(java_script_enabled=False)
    assert visible_claims(page) == page.locator(".claim").count() > 0


def test_a_claim_opens_to_its_figures_by_the_keyboard(open_page):
    page = open_page()
    claim = page.locator(".claim").first
    assert not claim.locator("ul").is_visible()
    claim.locator("summary").focus()
    page.keyboard.press("Enter")
    assert claim.locator("ul").is_visible()


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_makes_the_page_scroll_sideways(open_page, width):
    page = open_page(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # With everything open, too.
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


LUMINANCE = """element => {
  const light = colour => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(each => each / 255)
      .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  return [light(getComputedStyle(element).color), light(getComputedStyle(document.body).backgroundColor)];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "place",
    ["h1", ".lead", ".claim .says", ".claim .gist", ".supported .verdict", ".refuted .verdict", "main a"],
)
def test_text_stands_out_in_light_and_in_dark(open_page, scheme, place):
    page = open_page(color_scheme=scheme)
    text, paper = page.locator(place).first.evaluate(LUMINANCE)
    assert (paper < 0.5) == (scheme == "dark")
    # WCAG 2.2, 1.4.3: at least 4.5 to 1.
    assert (max(text, paper) + 0.05) / (min(text, paper) + 0.05) >= 4.5


def test_figures_take_their_colours_from_the_page(open_page):
    colours = set()
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme)
        line = page.locator("figure svg path[style*='--faint']").first
        colours.add(line.evaluate("element => getComputedStyle(element).stroke"))
    assert len(colours) == 2


def test_print_leaves_out_what_is_for_the_screen(open_page):
    page = open_page()
    assert page.locator("nav").is_visible()
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert not page.locator(".filter").is_visible()
    assert page.locator("h1").is_visible()
