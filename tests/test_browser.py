"""The report in a real browser: Chromium, headless, from a file."""

import functools
import shutil
from pathlib import Path
from urllib.parse import unquote

import matplotlib.image
import msgspec
import pytest
from synthetic import memory, rendered, results

from gradbench.record.lines import Writer
from gradbench.record.observation import Observation
from gradbench.record.plan import Request
from gradbench.record.visits import Stretch, Timeline
from studies.publish.__main__ import BEGIN, END, publish
from studies.publish.site import navigation

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="there is no Chromium; `make browser` installs it where it can"
    ),
    # Ours are errors; those of the browser's library are its own affair.
    pytest.mark.filterwarnings("default"),
]
# One process for all pages of a context: to start one takes longer than to show a page.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
             "--process-per-site"]  # fmt: skip


def visible_claims(page):
    return page.locator("#claims > ol > .claim:visible").count()


def test_the_page_opens_from_a_file_asks_for_nothing_and_complains_of_nothing(look_at):
    page = look_at()
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


def test_every_claim_is_there_without_scripts(look_at):
    page = look_at(java_script_enabled=False)
    assert visible_claims(page) == page.locator("#claims > ol > .claim").count() > 0
    assert page.locator(".unmeasured .claim").count() > 0


def test_the_page_begins_with_what_to_know_first_and_leads_there_in_the_same_order(look_at):
    page = look_at()
    sections = page.locator("main > section").evaluate_all("all => all.map(each => each.id)")
    assert sections[:6] == ["found", "advice", "glance", "claims", "guide", "control"]
    assert page.locator(".warnings").is_visible()
    alternatives = page.locator(".sections a").evaluate_all("all => all.map(each => each.hash.slice(1))")
    assert alternatives == sections


def test_claims_of_what_was_not_measured_are_folded_together_and_are_searched_with_the_others(open_page):
    page = open_page()
    fold = page.locator(".unmeasured")
    assert page.locator('#claims > ol > [data-verdict="not"]').count() == 0
    assert not fold.locator(".claim").first.is_visible()
    fold.locator("summary").first.click()
    every = fold.locator(".claim").count()
    assert fold.locator(".claim:visible").count() == every == fold.locator('[data-verdict="not"]').count()
    page.locator("#claim-words").fill("retain_graph")
    assert 0 < fold.locator(".claim:visible").count() < every
    page.locator("#claim-words").fill("no such words")
    assert not fold.is_visible()


def test_what_opens_has_a_mark_that_turns(open_page):
    page = open_page()
    claim = page.locator(".claim summary").first
    mark = "each => { const m = getComputedStyle(each, '::before'); return [m.content, m.transform] }"
    closed = claim.evaluate(mark)
    claim.click()
    assert closed[0] == claim.evaluate(mark)[0] == '""'
    assert closed[1] != claim.evaluate(mark)[1]


def test_findings_say_that_they_are_of_the_whole_run_where_less_is_shown(open_page):
    page = open_page()
    assert not page.locator("#whole").is_visible()
    box(page, "small").uncheck()
    assert page.locator("#whole").is_visible()
    page.locator("#show button").click()
    assert not page.locator("#whole").is_visible()


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


@pytest.mark.parametrize("width", [390, 768])
def test_what_to_use_is_seen_without_scrolling_sideways_and_under_its_columns_name(look_at, width):
    page = look_at(width)
    table = page.locator("#advice .scroll")
    assert table.evaluate("each => each.scrollWidth <= each.clientWidth")
    cell = page.locator('#advice td[data-head="use"]').first
    assert cell.evaluate("each => getComputedStyle(each, '::before').content.includes('use')") is True
    heads = page.locator("#advice thead th").evaluate_all("all => all.map(each => each.textContent)")
    row = page.locator("#advice tbody tr").first.locator("td")
    assert row.evaluate_all("all => all.map(each => each.dataset.head)") == heads[1:]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_that_goes_on_has_a_shadow_at_that_edge_and_the_names_of_its_rows_stay(
    open_page, tmp_path, scheme
):
    page = open_page(390, color_scheme=scheme)
    glance = page.locator("#glance .scroll")
    assert glance.evaluate("each => each.scrollWidth > each.clientWidth")
    glance.scroll_into_view_if_needed()
    box = glance.bounding_box()

    def row(scrolled):
        """Along the head of the table the brightness that is seen at its two edges, and within."""
        glance.evaluate("(each, left) => each.scrollTo({left, behavior: 'instant'})", scrolled)
        # Above the names of columns, in their padding.
        clip = {"x": 0, "y": int(box["y"]) + 2, "width": 390, "height": 1}
        page.screenshot(path=tmp_path / "shot.png", clip=clip)
        (line,) = matplotlib.image.imread(tmp_path / "shot.png")[..., :3].mean(-1)
        return [float(line[int(box["x"] + x)]) for x in (1, box["width"] / 2, box["width"] - 2)]

    _, within, right = row(0)
    assert abs(right - within) > 0.08
    _, within, right = row(10_000)
    assert abs(right - within) < 0.02
    name = page.locator(".glance tbody th").first.bounding_box()
    assert box["x"] <= name["x"] < box["x"] + 5


def test_a_wide_window_is_used_for_tables_and_not_for_lines_of_text(open_page):
    page = open_page(1920)
    page.evaluate("document.querySelectorAll('details.comparison').forEach(each => each.open = true)")
    cut = page.locator(".comparison > .scroll:visible").evaluate_all(
        "all => all.filter(each => each.scrollWidth > each.clientWidth).length"
    )
    assert cut == 0
    wide = page.locator("main p:visible").evaluate_all(
        "all => Math.max(...all.map(each => each.clientWidth))"
    )
    assert wide <= 48 * 16


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_in_dark(look_at, scheme):
    places = [
        "h1",
        ".lead",
        ".claim .says",
        ".claim .gist",
        ".supported .verdict",
        ".refuted .verdict",
        "main a",
        "#shown",
        ".show label",
        ".raw a",
        ".bars td",
        ".bars thead th",
        ".subhead span",
    ]
    found = look_at(color_scheme=scheme).evaluate(CONTRAST, places)
    assert [place for place, _, paper in found if (paper < 0.5) != (scheme == "dark")] == []
    assert [place for place, *both in found if not stands_out(*both)] == []


def test_figures_take_their_colours_from_the_page(look_at):
    colours = set()
    for scheme in ("light", "dark"):
        page = look_at(color_scheme=scheme)
        line = page.locator("figure svg path[style*='--faint']").first
        colours.add(line.evaluate("element => getComputedStyle(element).stroke"))
    assert len(colours) == 2


def test_print_leaves_out_what_is_for_the_screen(open_page):
    page = open_page()
    assert page.locator("nav").is_visible()
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert not page.locator(".filter").is_visible()
    assert not page.locator("#show .group").is_visible()
    assert page.locator("h1").is_visible()


def test_paper_is_white_whatever_the_screen_is(open_page):
    page = open_page(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_what_is_selected_is_printed_with_its_figures_and_nothing_else(open_page):
    page = open_page()
    box(page, "small").uncheck()
    before = page.locator("details[open]").count()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert visible(page, ".comparison table") > 0
    assert page.locator(".comparison:visible:not([open])").count() == 0
    assert visible(page, '[data-size="small"]') == 0
    # That something is left out is said on the paper, too.
    assert page.locator("#shown").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == before


def box(page, value):
    return page.locator(f'#show input[value="{value}"]')


def visible(page, selector):
    return page.locator(f"{selector}:visible").count()


def shown(page):
    """What the page says, as two numbers."""
    words = page.locator("#shown").text_content().split()
    assert words[1:2] + words[3:] == ["of", "comparisons", "shown"]
    return int(words[0]), int(words[2])


def test_less_is_shown_by_size_and_the_page_says_how_much(open_page):
    page = open_page()
    every = page.locator(".comparison").count()
    small = page.locator('.comparison[data-size="small"]').count()
    assert 0 < small < every
    assert shown(page) == (every, every)
    box(page, "small").uncheck()
    assert shown(page) == (every - small, every)
    assert visible(page, ".comparison") == every - small
    for kind in ("figure", ".bars", ".glance th", ".glance td", "#guide th", "#guide td", "#advice tr"):
        assert page.locator(f'{kind}[data-size="small"]').count() > 0, kind
        assert visible(page, f'{kind}[data-size="small"]') == 0, kind
        assert visible(page, f'{kind}[data-size="large"]') > 0, kind
    page.locator("#show button").click()
    assert shown(page) == (every, every)
    assert visible(page, ".glance td") == page.locator(".glance td").count()
    assert not page.locator("#show button").is_visible()


def test_heads_of_the_table_at_a_glance_span_the_columns_that_are_left(open_page):
    page = open_page()
    for values in ((), ("small",), ("small", "large")):
        for value in values:
            box(page, value).uncheck()
        spans = page.locator(".glance [data-columns]:visible").evaluate_all(
            "all => all.map(each => each.colSpan)"
        )
        assert sum(spans) == visible(page, ".glance [data-column]")
        cells = page.locator(".glance tbody tr").first.locator("td:visible").count()
        assert cells == sum(spans)


def test_a_filter_that_leaves_nothing_says_so_in_every_section(open_page):
    page = open_page()
    assert visible(page, ".nothing") == 0
    for value in ("small", "medium", "large"):
        box(page, value).uncheck()
    assert shown(page)[0] == 0
    assert visible(page, "[data-size]") == 0
    for id in ("advice", "control", "break_even", "freeze"):
        assert page.locator(f"#{id}").get_by_text("Nothing here is among what is shown").first.is_visible()
    assert page.locator("#glance").get_by_text("Nothing here is among").is_visible()
    assert not page.locator(".glance").is_visible()
    box(page, "medium").check()
    # There is no view of a medium size.
    assert page.locator("#view .nothing").is_visible()
    assert not page.locator("#control .nothing").is_visible()


def test_sizes_and_verdicts_are_filtered_together(open_page):
    page = open_page()
    whole = visible_claims(page)
    for value in ("small", "medium", "large"):
        box(page, value).uncheck()
    # What is left was observed, or is of several sizes.
    left = visible_claims(page)
    assert 0 < left < whole
    refuted = visible(page, '.claim[data-verdict="refuted"]')
    page.locator('.filter input[data-verdict="refuted"]').uncheck()
    assert visible_claims(page) == left - refuted
    assert f"{left - refuted} of {whole} claims shown" in page.locator("#claims-shown").text_content()
    for value in ("small", "medium", "large"):
        box(page, value).check()
    assert visible_claims(page) == whole - page.locator('.claim[data-verdict="refuted"]').count()
    box(page, "small").uncheck()
    page.evaluate("document.querySelectorAll('.claim details').forEach(each => each.open = true)")
    assert visible(page, '.claim li[data-size="small"]') == 0
    assert visible(page, '.claim li[data-size="large"]') > 0


def test_no_claim_says_so_when_none_is_left(open_page):
    page = open_page()
    page.locator("#claim-words").fill("no such words")
    assert page.locator("#claims .nothing").is_visible()
    page.locator("#claim-words").fill("")
    assert not page.locator("#claims .nothing").is_visible()


def test_the_filter_is_worked_by_the_keyboard(open_page):
    page = open_page()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == "small":
            break
    before = shown(page)[0]
    page.keyboard.press("Space")
    assert shown(page)[0] < before
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "medium"


def test_without_scripts_everything_is_shown_and_nothing_can_be_chosen(look_at):
    page = look_at(java_script_enabled=False)
    assert visible(page, ".comparison") == page.locator(".comparison").count()
    assert visible(page, ".glance td") == page.locator(".glance td").count()
    assert visible(page, "input") == 0
    assert not page.locator("#shown").is_visible()


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory):
    """The report of a run on two devices, in two types."""
    request = Request(workloads=("control", "elementwise"), sizes=("small", "large"))
    made = results({"no_grad": 1.4}, request=request)
    both, visits = [], []
    for device, dtype in (("cpu", "float32"), ("cuda:0", "float32"), ("cuda:0", "float16")):
        for comparison in made.header.plan.comparisons:
            id = comparison.id.replace("float32/cpu", f"{dtype}/{device}")
            both.append(msgspec.structs.replace(comparison, id=id, device=device, dtype=dtype))
            visits += [msgspec.structs.replace(each, comparison=id) for each in made.visits
                       if each.comparison == comparison.id]  # fmt: skip
    plan = msgspec.structs.replace(made.header.plan, comparisons=tuple(both))
    made.header = msgspec.structs.replace(made.header, plan=plan)
    made.visits = visits
    path = tmp_path_factory.mktemp("devices") / "report.html"
    path.write_text(rendered(made))
    return path


def test_devices_and_types_are_chosen_where_there_are_several(open_page, two_devices):
    page = open_page(path=two_devices)
    assert shown(page) == (12, 12)
    box(page, "cpu").uncheck()
    assert shown(page) == (8, 12)
    box(page, "float16").uncheck()
    assert shown(page) == (4, 12)
    box(page, "small").uncheck()
    assert shown(page) == (2, 12)
    assert visible(page, 'figure[data-device="cuda:0"][data-dtype="float32"][data-size="large"]') == 2
    assert visible(page, "figure[data-size]") == 2
    page = open_page()
    assert page.locator("#show").get_by_text("device cpu").is_visible()
    assert page.locator('[data-facet="device"]').count() == 0


def test_bars_are_as_long_as_their_bytes_and_say_them(look_at):
    page = look_at()
    row = page.locator(".bars tr", has=page.get_by_text("no_grad", exact=True)).first
    assert row.locator("td").all_text_contents() == ["400 B", "100 B", "-200 B"]
    wide = [bar.bounding_box()["width"] / cell.bounding_box()["width"]
            for bar, cell in zip(row.locator("b").all(), row.locator("td").all(), strict=True)]  # fmt: skip
    assert wide[0] / wide[1] == pytest.approx(4, rel=0.1)
    assert wide[0] / wide[2] == pytest.approx(2, rel=0.1)
    # What is released is an outline, and what is not known has no bar.
    assert row.locator(".freed").count() == 1
    unknown = page.locator(".bars tr", has=page.get_by_text("inference_mode", exact=True)).first
    assert unknown.locator("td").all_text_contents() == ["–"] * 3
    assert unknown.locator("b").count() == 0
    # A panel is no larger than one of ratios.
    ratios = page.locator("#control figure").first.bounding_box()
    bars = page.locator("#control .bars").first.bounding_box()
    assert bars["width"] <= ratios["width"] + 1
    assert bars["height"] <= 1.1 * ratios["height"]


@pytest.mark.parametrize("width", [360, 1280])
def test_no_figure_of_a_bar_is_cut_off(look_at, width):
    page = look_at(width)
    cut = page.locator(".bars th, .bars td").evaluate_all(
        "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.textContent)"
    )
    assert cut == []


REPORTS = Path(__file__).parents[1] / "reports"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of reports with two small runs, and one of the published studies."""
    root = tmp_path_factory.mktemp("site")
    for day in ("01", "02"):
        made = whole_run(Request(workloads=("control", "elementwise"), sizes=("small",)))
        folder = root / "runs" / day
        folder.mkdir(parents=True)
        writer = Writer(folder / "results.jsonl")
        writer.write(msgspec.structs.replace(made.header, created=f"2026-01-{day}T00:00:00+00:00"))
        for record in (*made.passes, *made.visits, *made.memory, *made.ends):
            writer.write(record)
        writer.close()
    (root / "README.md").write_text(f"{BEGIN}\n{END}\n")
    shutil.copytree(REPORTS / "regressions", root / "reports" / "regressions")
    for day in ("01", "02"):
        publish(root / "runs" / day, root / "reports", root / "README.md")
    return root / "reports"


def test_a_reader_finds_the_way_through_the_site(open_page, site):
    page = open_page(path=site / "index.html")
    assert page.locator('.site [aria-current="page"]').text_content() == "All reports"
    page.locator(".site").get_by_text("Newest run").click()
    assert "2026-01-02" in page.url
    assert page.locator('.site [aria-current="page"]').text_content() == "This run"
    page.locator(".site").get_by_text("Regressions").click()
    assert "regressions" in page.url
    page.locator(".site").get_by_text("All reports").click()
    page.locator("main").get_by_text("A processor").last.click()
    assert "2026-01-01" in page.url
    assert page.locator('.site [aria-current="page"]').text_content() == "This run"


@pytest.mark.parametrize("published", [False, True])
def test_every_page_of_the_site_looks_alike_and_has_no_dead_link(open_page, site, published):
    """Published pages are opened as they are; test_publish.py shows that they are the ones made now."""
    root = REPORTS if published else site
    pages = sorted(root.rglob("index.html"))
    assert len(pages) >= 4
    styles = set()
    for path in pages:
        page = open_page(360, path=path)
        assert page.complaints == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        ids = page.locator("[id]").evaluate_all("all => all.map(each => each.id)")
        for href in page.locator("a").evaluate_all("all => all.map(each => each.getAttribute('href'))"):
            if href.startswith("#"):
                assert ids.count(href[1:]) == 1, href
            elif not href.startswith("https://"):
                assert (path.parent / unquote(href)).is_file(), href
        styles.add(page.locator("head style").text_content())
        assert page.locator(".site a").count() == len(navigation(root, path))
    assert len(styles) == 1


def test_a_report_by_itself_has_no_navigation_of_a_site(look_at):
    assert look_at().locator(".site").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_navigation_of_the_site_stands_out(look_at, site, scheme):
    page = look_at(path=site / "index.html", color_scheme=scheme)
    found = page.evaluate(CONTRAST, [".site a", ".site [aria-current]", ".brand"])
    assert [place for place, *both in found if not stands_out(*both)] == []
