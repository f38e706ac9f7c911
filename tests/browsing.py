"""Pages in a real browser: Chromium, headless, from a file. conftest.py offers the fixtures to all tests."""

import functools
import shutil

import pytest
from synthetic import followed, memory, rendered, results

from gradbench.record.plan import Request

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# One process for all pages of a context: to start one takes longer than to show a page.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
             "--process-per-site"]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    """One Chromium for all tests of a file."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium; `make browser` installs it where it can")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a made run, with everything that a report may hold."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(rendered(whole_run()))
    return path


# With parts, alternatives, a view without a medium size, curves, bars and timelines; more of the same kinds
# would only have the browser lay out more.
WHOLE = Request(
    workloads=("control", "elementwise", "view", "chain", "break_even", "freeze", "update"), preset="standard"
)


def whole_run(request=WHOLE):
    made = results({"no_grad": 1.4, "tracked": 0.9}, request=request)
    memory(made, "no_grad", peak=400, saved=100, retained=-200)
    memory(made, "requires_grad_false", peak=200)
    return followed(made)


@pytest.fixture(scope="module")
def context(browser):
    """A context with these options, one for all tests: the pages keep nothing in it."""
    return functools.cache(lambda **options: browser.new_context(**options))


def load(context, path, width=1280, **options):
    """A page in a window of its own; what the browser has to complain of is in `page.complaints`."""
    page = context(**options).new_page()
    page.set_viewport_size({"width": width, "height": 900})
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.complaints.append(request.url))
    page.goto(path.as_uri())
    page.complaints.remove(path.as_uri())
    return page


@pytest.fixture
def open_page(context, report):
    """Open the report for this test alone, which may work it."""
    pages = []

    def opened(width=1280, path=report, **options):
        pages.append(load(context, path, width, **options))
        return pages[-1]

    yield opened
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def look_at(context, report):
    """The report as it is opened, one for all tests that only look at it with the same options."""
    pages = {}

    def opened(width=1280, path=report, **options):
        key = (width, path, *options.items())
        if key not in pages:
            pages[key] = load(context, path, width, **options)
        return pages[key]

    return opened


def box(page, value):
    """The box of the filter that shows or hides what has this value."""
    return page.locator(f'#show input[value="{value}"]')


def visible(page, selector):
    return page.locator(f"{selector}:visible").count()


def open_all(page, selector="main details"):
    page.evaluate(
        "selector => document.querySelectorAll(selector).forEach(each => each.open = true)", selector
    )


CONTRAST = """places => places.map(place => {
  const element = document.querySelector(place);
  const light = colour => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(each => each / 255)
      .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  let behind = element;
  while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
  return [place, light(getComputedStyle(element).color), light(getComputedStyle(behind).backgroundColor)];
})"""


def stands_out(text, paper):
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    return (max(text, paper) + 0.05) / (min(text, paper) + 0.05) >= 4.5
