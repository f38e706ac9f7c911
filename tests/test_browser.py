"""The report in a real browser: what is filtered, opened, printed and seen."""

import matplotlib.image
import msgspec
import pytest
from browsing import CONTRAST, box, open_all, stands_out, visible
from synthetic import rendered, results

from gradbench.record.plan import Request

# Ours are errors; those of the browser's library are its own affair.
pytestmark = pytest.mark.filterwarnings("default")


def visible_claims(page):
    return visible(page, "#found .claim")


def filters(page):
    """Open the fold of the filters."""
    page.locator(".filters > summary").click()


def test_the_page_opens_from_a_file_asks_for_nothing_and_complains_of_nothing(look_at):
    page = look_at()
    page.wait_for_load_state("networkidle")
    assert page.complaints == []
    assert page.title() == "The cost of gradient control here: a gradbench report"


def test_claims_are_filtered_by_verdict_and_by_words(open_page):
    page = open_page()
    whole = visible_claims(page)
    judged = page.locator(".claim[data-verdict]").count()
    refuted = page.locator('.claim[data-verdict="refuted"]').count()
    assert 0 < refuted < judged < whole
    filters(page)
    box(page, "refuted").uncheck()
    assert visible_claims(page) == whole - refuted
    assert page.locator("#shown").inner_text() == f"{judged - refuted} of {judged} claims shown"
    box(page, "refuted").check()
    assert page.locator("#shown").inner_text() == ""
    page.locator("#claim-words").fill("inference_mode faster")
    assert 0 < visible_claims(page) < 5
    page.locator("#claim-words").fill("no such words")
    assert visible_claims(page) == 0
    page.locator("#claim-words").fill("")
    assert visible_claims(page) == whole


def test_every_claim_is_there_without_scripts(look_at):
    page = look_at(java_script_enabled=False)
    assert visible_claims(page) == page.locator(".claim").count() > 0
    assert page.locator(".unmeasured li").count() > 0


def test_the_page_goes_from_the_answer_to_the_list_to_the_figures_and_to_how_it_was_measured(look_at):
    page = look_at()
    sections = page.locator("main > section").evaluate_all("all => all.map(each => each.id)")
    assert sections == [
        "answer",
        "found",
        "ask-cost",
        "ask-around-work",
        "ask-fine-tune",
        "ask-write",
        "tables",
        "how",
        "machine",
    ]
    heads = page.locator("h1, main > section > h2").evaluate_all("all => all.map(each => each.tagName)")
    assert heads == ["H1"] + ["H2"] * (len(sections) - 1)


def test_the_list_has_a_line_for_each_finding_and_claim_with_its_verdict_and_its_figure(look_at):
    page = look_at()
    lines = page.locator(".claim > details > summary").evaluate_all(
        "all => all.map(each => [...each.children].map(part => [part.className, part.textContent.trim()]))"
    )
    assert [[name for name, _ in line] for line in lines] == [["verdict", "says", "deciding"]] * len(lines)
    assert all(line[0][1] and line[1][1] for line in lines)
    kinds = page.locator(".claim").evaluate_all("all => all.map(each => 'verdict' in each.dataset)")
    # Findings come before claims.
    assert kinds == sorted(kinds)
    assert 0 < sum(kinds) < len(kinds)
    high = page.locator(".claim > details > summary").evaluate_all(
        "all => all.map(each => each.clientHeight)"
    )
    assert sorted(high)[len(high) // 2] < 34


def test_claims_of_what_was_not_measured_are_folded_together(open_page):
    page = open_page()
    fold = page.locator(".unmeasured")
    assert page.locator('.claims [data-verdict="not"]').count() == 0
    assert not fold.locator("li").first.is_visible()
    fold.locator("summary").click()
    assert f"{visible(page, '.unmeasured li')} claims" in fold.locator("summary").inner_text()
    assert "It takes" in fold.locator("li").first.inner_text()


def test_what_opens_has_a_mark_that_turns(open_page):
    page = open_page()
    claim = page.locator(".claim summary").first
    mark = "each => { const m = getComputedStyle(each, '::before'); return [m.content, m.transform] }"
    closed = claim.evaluate(mark)
    claim.click()
    assert closed[0] == claim.evaluate(mark)[0] == '""'
    assert closed[1] != claim.evaluate(mark)[1]


def test_a_claim_opens_to_its_figures_by_the_keyboard(open_page):
    page = open_page()
    claim = page.locator(".claim[data-verdict]").first
    assert not claim.locator("ul").is_visible()
    claim.locator("summary").focus()
    page.keyboard.press("Enter")
    assert claim.locator("ul").is_visible()


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_makes_the_page_scroll_sideways(open_page, width):
    page = open_page(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # With everything open, too.
    open_all(page, "details")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 768])
def test_what_to_use_is_seen_without_scrolling_sideways_and_under_its_columns_name(open_page, width):
    page = open_page(width)
    page.locator("#purposes > summary").click()
    table = page.locator("#purposes .scroll")
    assert table.evaluate("each => each.scrollWidth <= each.clientWidth")
    cell = page.locator('#purposes td[data-head="use"]').first
    assert cell.evaluate("each => getComputedStyle(each, '::before').content.includes('use')") is True
    heads = page.locator("#purposes thead th").evaluate_all("all => all.map(each => each.textContent)")
    row = page.locator("#purposes tbody tr").first.locator("td")
    assert row.evaluate_all("all => all.map(each => each.dataset.head)") == heads[1:]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_that_goes_on_has_a_shadow_at_that_edge_and_the_names_of_its_rows_stay(
    open_page, tmp_path, scheme
):
    page = open_page(390, color_scheme=scheme)
    page.locator("#glance > summary").click()
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
    open_all(page)
    cut = page.locator(".comparison > .scroll:visible").evaluate_all(
        "all => all.filter(each => each.scrollWidth > each.clientWidth).length"
    )
    assert cut == 0
    # A line of a claim's evidence is smaller, and holds as many words.
    for texts, rem in (("section > p, .workload p", 48), (".claim p", 66)):
        wide = page.locator(f"main :is({texts}):visible").evaluate_all(
            "all => Math.max(...all.map(each => each.clientWidth))"
        )
        assert 0 < wide <= rem * 16


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_in_dark(look_at, scheme):
    places = [
        "h1",
        ".facts",
        ".purposes dt",
        ".purposes .gain",
        ".purposes .choice",
        ".trust > summary",
        ".trust .more",
        ".presets a",
        ".presets a[aria-current]",
        ".count",
        ".filters > summary",
        ".claim .says",
        ".claim .deciding",
        ".supported .verdict",
        ".refuted .verdict",
        ".found .verdict",
        ".legend",
        ".legend .slower",
        ".legend .faster",
        ".workload > summary code",
        "main p a",
        ".bars td",
        ".bars thead th",
        ".subhead span",
    ]
    page = look_at(color_scheme=scheme)
    assert [place for place in places if page.locator(place).count() == 0] == []
    found = page.evaluate(CONTRAST, places)
    wrong = [place for place, _, paper in found if (paper < 0.5) != (scheme == "dark")]
    # The preset that is chosen stands on a patch of ink.
    assert wrong in ([], [".presets a[aria-current]"])
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
    filters(page)
    for part in (".presets", "#copy", ".filters", ".filter"):
        assert page.locator(part).is_visible(), part
    page.emulate_media(media="print")
    for part in (".presets", "#copy", ".filters", ".filter", ".inner"):
        assert visible(page, part) == 0, part
    assert page.locator("h1").is_visible()


def test_paper_is_white_whatever_the_screen_is(open_page):
    page = open_page(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_what_is_selected_is_printed_with_its_figures_and_nothing_else(open_page):
    page = open_page()
    filters(page)
    box(page, "small").uncheck()
    page.locator("#control > summary").click()
    page.wait_for_function("location.hash.endsWith('open=control')")
    address, before = page.url, page.locator("details[open]").count()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert visible(page, ".comparison table") > 0
    assert visible(page, "main details:not([open], .inner, .filters)") == 0
    assert visible(page, '[data-size="small"]') == 0
    # The paper says that something is left out.
    assert page.locator("#shown").is_visible()
    assert page.locator(".filters").inner_text().strip() == page.locator("#shown").inner_text()
    # The address is that of the reader's view, whatever the browser takes its time with.
    page.wait_for_timeout(100)
    assert page.url == address
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.wait_for_timeout(100)
    assert page.locator("details[open]").count() == before
    assert page.url == address
    page.locator("#control > summary").click()
    page.wait_for_function("!location.hash.includes('open=')")


def shown(page):
    """How many comparisons the page says that it shows, and of how many; None where it shows all of them."""
    words = page.locator("#shown").text_content().removesuffix(" shown").split(" and ")
    (found,) = [each.split() for each in words if each.endswith(" comparisons")] or [None]
    if found is None:
        return None
    assert found[1:2] + found[3:] == ["of", "comparisons"]
    return int(found[0]), int(found[2])


def test_less_is_shown_by_size_and_the_page_says_how_much(open_page):
    page = open_page()
    every = page.locator(".comparison").count()
    small = page.locator('.comparison[data-size="small"]').count()
    assert 0 < small < every
    assert shown(page) is None
    filters(page)
    box(page, "small").uncheck()
    assert shown(page) == (every - small, every)
    open_all(page)
    assert visible(page, ".comparison") == every - small
    for kind in ("figure", ".bars", ".glance th", ".glance td", "#guide th", "#guide td", "#purposes tr"):
        assert page.locator(f'{kind}[data-size="small"]').count() > 0, kind
        assert visible(page, f'{kind}[data-size="small"]') == 0, kind
        assert visible(page, f'{kind}[data-size="large"]') > 0, kind
    page.locator("#show button").click()
    assert shown(page) is None
    open_all(page)
    assert visible(page, ".glance td") == page.locator(".glance td").count()
    assert not page.locator("#show button").is_visible()


def test_heads_of_the_table_at_a_glance_span_the_columns_that_are_left(open_page):
    page = open_page()
    filters(page)
    open_all(page)
    for value in ("", "small", "large"):
        if value:
            box(page, value).uncheck()
        spans = page.locator(".glance [data-columns]:visible").evaluate_all(
            "all => all.map(each => each.colSpan)"
        )
        assert sum(spans) == visible(page, ".glance [data-column]") > 0
        cells = page.locator(".glance tbody tr").first.locator("td:visible").count()
        assert cells == sum(spans)


def test_what_a_filter_leaves_nothing_of_is_gone_with_its_heading(open_page):
    page = open_page()
    filters(page)
    box(page, "large").uncheck()
    box(page, "small").uncheck()
    # There is no view of a medium size.
    assert not page.locator("#view").is_visible()
    assert page.locator("#control").is_visible()
    box(page, "medium").uncheck()
    every = page.locator(".comparison").count()
    assert shown(page) == (0, every)
    assert visible(page, "[data-size]") == 0
    for gone in (
        "#ask-cost",
        "#ask-around-work",
        "#ask-fine-tune",
        "#ask-write",
        "#control",
        "#glance",
        "#purposes",
    ):
        assert page.locator(gone).count() == 1
        assert not page.locator(gone).is_visible(), gone
    # What was found of the run as a whole stays, and how it was measured.
    for left in ("#answer", "#found", "#how", "#machine", "#traits"):
        assert page.locator(left).is_visible(), left


def test_sizes_and_verdicts_are_filtered_together(open_page):
    page = open_page()
    filters(page)
    whole = visible_claims(page)
    for value in ("small", "medium", "large"):
        box(page, value).uncheck()
    # What is left was observed, or is of several sizes.
    left = visible_claims(page)
    assert 0 < left < whole
    refuted = visible(page, '.claim[data-verdict="refuted"]')
    box(page, "refuted").uncheck()
    assert visible_claims(page) == left - refuted
    judged = page.locator(".claim[data-verdict]").count()
    said = f"{visible(page, '.claim[data-verdict]')} of {judged} claims"
    assert page.locator("#shown").inner_text().startswith(said)
    for value in ("small", "medium", "large"):
        box(page, value).check()
    assert visible_claims(page) == whole - page.locator('.claim[data-verdict="refuted"]').count()
    box(page, "small").uncheck()
    open_all(page, ".claim details")
    assert visible(page, '.claim li[data-size="small"]') == 0
    assert visible(page, '.claim li[data-size="large"]') > 0


def test_the_filter_is_worked_by_the_keyboard(open_page):
    page = open_page()
    page.locator(".filters > summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "small"
    assert shown(page) is None
    page.keyboard.press("Space")
    assert shown(page) is not None
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "medium"


def test_without_scripts_everything_is_shown_and_nothing_can_be_chosen(look_at):
    page = look_at(java_script_enabled=False)
    assert page.locator("[hidden]").evaluate_all("all => all.map(each => each.className)") == [
        "presets", "", "filters", ""
    ]  # fmt: skip
    for gone in ("input", "#show", "#shown", ".presets", "#copy"):
        assert visible(page, gone) == 0, gone
    assert visible(page, ".claim") == page.locator(".claim").count() > 0
    # A fold opens without a script.
    page.locator("#control > summary").click()
    assert visible(page, "#control .comparison") == page.locator("#control .comparison").count() > 0


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
    assert shown(page) is None
    filters(page)
    open_all(page)
    box(page, "cpu").uncheck()
    assert shown(page) == (8, 12)
    box(page, "float16").uncheck()
    assert shown(page) == (4, 12)
    box(page, "small").uncheck()
    assert shown(page) == (2, 12)
    assert visible(page, 'figure[data-device="cuda:0"][data-dtype="float32"][data-size="large"]') == 2
    assert visible(page, "figure:is([data-device=cpu], [data-dtype=float16], [data-size=small])") == 0
    assert visible(page, "figure[data-size]") == 2
    page = open_page()
    assert page.locator('[data-facet="size"]').count() > 0
    assert page.locator('[data-facet="device"], [data-facet="dtype"]').count() == 0


def test_bars_are_as_long_as_their_bytes_and_say_them(open_page):
    page = open_page()
    open_all(page)
    row = page.locator(".bars tr", has=page.get_by_text("no_grad", exact=True)).first
    assert row.locator("td").all_text_contents() == ["400 B", "100 B", "200 B freed"]
    wide = [bar.bounding_box()["width"] / cell.bounding_box()["width"]
            for bar, cell in zip(row.locator("b").all(), row.locator("td").all(), strict=True)]  # fmt: skip
    assert wide[0] / wide[1] == pytest.approx(4, rel=0.1)
    assert wide[0] / wide[2] == pytest.approx(2, rel=0.1)
    # What is released is an outline, and what is not known has no bar.
    assert row.locator(".freed").count() == 1
    unknown = page.locator(".bars tr", has=page.get_by_text("inference_mode", exact=True)).first
    assert unknown.locator("td").all_text_contents() == ["–"] * 3
    assert unknown.locator("b").count() == 0


@pytest.mark.parametrize("width", [360, 1280])
def test_no_figure_of_a_bar_is_cut_off(look_at, width):
    page = look_at(width)
    cut = page.locator(".bars th, .bars td").evaluate_all(
        "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.textContent)"
    )
    assert cut == []
