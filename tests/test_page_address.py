"""The address of the page holds what is shown of it: presets, filters, words and open parts."""

import pytest
from browsing import box, open_all, visible

# Ours are errors; those of the browser's library are its own affair.
pytestmark = pytest.mark.filterwarnings("default")

VIEW = """() => ({
  claims: [...document.querySelectorAll(".claim")].map(each => each.checkVisibility()),
  sections: [...document.querySelectorAll("section")].map(each => each.checkVisibility()),
  open: [...document.querySelectorAll("main details:not(.filters)")].map(each => each.open),
  boxes: [...document.querySelectorAll("#show input[type=checkbox]")].map(each => each.checked),
  words: document.getElementById("claim-words").value,
  preset: document.querySelector("[aria-current=true]").dataset.preset,
  shown: document.getElementById("shown").textContent,
})"""


def fragment(page):
    return page.evaluate("location.hash")


def filters(page):
    page.locator(".filters > summary").click()


def test_what_a_reader_chooses_is_in_the_address_which_shows_the_same_elsewhere(open_page):
    page, other = open_page(), open_page()
    filters(page)
    steps = (
        lambda: page.locator('[data-preset="fine-tune"]').click(),
        lambda: box(page, "small").uncheck(),
        lambda: box(page, "refuted").uncheck(),
        lambda: page.locator("#claim-words").fill("is"),
        lambda: page.locator(".claim:visible summary").first.click(),
        lambda: page.locator("#freeze > summary").click(),
        lambda: page.locator("#freeze .comparison:visible > summary").first.click(),
    )
    seen = {fragment(page)}
    assert seen == {""}
    for step in steps:
        before, was = page.evaluate(VIEW), fragment(page)
        step()
        page.wait_for_function("was => location.hash !== was", arg=was)
        assert page.evaluate(VIEW) != before
        seen.add(fragment(page))
        other.goto(page.url)
        assert other.evaluate(VIEW) == page.evaluate(VIEW)
    assert len(seen) == 1 + len(steps)
    fresh = open_page()
    assert fresh.evaluate(VIEW) != page.evaluate(VIEW)
    fresh.goto("about:blank")
    fresh.goto(page.url)
    assert fresh.evaluate(VIEW) == page.evaluate(VIEW)
    assert fresh.evaluate("location.hash") == fragment(page)


def test_a_part_that_is_open_from_the_first_is_in_the_address_once_it_is_closed(open_page):
    page = open_page()
    page.locator("#control > summary").click()
    page.wait_for_function("location.hash === '#open=control'")
    page.locator("#control .comparison[open] > summary").first.click()
    page.wait_for_function("location.hash.startsWith('#open=control,control.')")
    view = page.evaluate(VIEW)
    other = open_page()
    other.goto(page.url)
    assert other.evaluate(VIEW) == view
    page.locator("#control .comparison > summary").last.click()
    page.locator("#control > summary").click()
    page.wait_for_function("location.hash === ''")


@pytest.mark.parametrize(
    "anchor", ["traits", "elementwise", "freeze-training", "claim-best.small", "measuring"]
)
def test_an_anchor_opens_the_folds_around_its_target_and_leads_there(open_page, report, anchor):
    page = open_page()
    page.goto("about:blank")
    page.goto(f"{report.as_uri()}#{anchor}")
    target = page.locator(f"[id='{anchor}']")
    # A claim is led to as its line, which opens.
    folds = page.locator(f"xpath=//details[descendant-or-self::*[@id='{anchor}'] or ../@id='{anchor}']")
    assert folds.evaluate_all("all => all.length > 0 && all.every(each => each.open)")
    assert target.is_visible()
    page.wait_for_function(
        "id => Math.abs(document.getElementById(id).getBoundingClientRect().top) < 250", arg=anchor
    )


def test_a_link_within_the_page_opens_its_target_and_keeps_the_view_in_the_address(open_page):
    page = open_page()
    filters(page)
    box(page, "large").uncheck()
    page.locator(".claim[data-verdict]:visible summary", has_text="no_grad").first.click()
    link = page.locator(".claim a[href^='#']:visible").first
    target = link.get_attribute("href")
    assert not page.locator(f"{target} > div").first.is_visible()
    link.click()
    assert page.locator(f"{target} > div").first.is_visible()
    page.wait_for_function("name => location.hash.includes(name)", arg=target[1:])
    assert fragment(page).startswith("#size=small,medium&open=")
    assert not box(page, "large").is_checked()


def test_a_link_to_what_a_preset_hides_shows_it(open_page):
    page = open_page()
    page.locator('[data-preset="fine-tune"]').click()
    open_all(page, ".claim details")
    hidden = page.evaluate(
        "() => [...document.querySelectorAll('.claim a[href^=\"#\"]')].filter(each => each.checkVisibility())"
        ".map(each => each.getAttribute('href'))"
        ".find(each => document.querySelector(each).closest('[hidden]'))"
    )
    assert hidden
    page.locator(f".claim a[href='{hidden}']:visible").first.click()
    assert page.locator(f"{hidden} > div").first.is_visible()
    assert page.locator('[data-preset="everything"]').get_attribute("aria-current") == "true"
    assert "for=" not in fragment(page)


def test_show_all_clears_the_view_and_the_address(open_page):
    page = open_page()
    filters(page)
    reset = page.locator("#show [type=reset]")
    whole = page.evaluate(VIEW)
    for step in (
        lambda: box(page, "small").uncheck(),
        lambda: page.locator("#claim-words").fill("no_grad"),
        lambda: page.locator('[data-preset="functions"]').click(),
    ):
        assert not reset.is_visible()
        step()
        assert fragment(page) != ""
        reset.click()
        assert fragment(page) == ""
        assert page.evaluate(VIEW) == whole


@pytest.mark.parametrize(
    "fragment_",
    ["for=nonsense", "open=nowhere,control.99", "size=huge&dtype=int8", "nowhere", "a%20b=%E0", "%E0"],
)
def test_an_address_that_says_nothing_of_this_page_does_no_harm(open_page, report, fragment_):
    page = open_page()
    page.goto("about:blank")
    page.complaints.clear()
    page.goto(f"{report.as_uri()}#{fragment_}")
    assert page.locator("h1").is_visible()
    assert page.complaints == [report.as_uri()]
    assert page.locator('[data-preset="everything"]').get_attribute("aria-current") == "true"
    page.locator('[data-preset="evaluate"]').click()
    assert fragment(page).startswith("#for=evaluate")


def test_presets_are_followed_back_to_everything(open_page):
    page = open_page()
    every = visible(page, ".claim")
    page.locator('[data-preset="evaluate"]').click()
    assert fragment(page) == "#for=evaluate"
    assert visible(page, ".claim") < every
    page.locator('[data-preset="everything"]').click()
    assert fragment(page) == ""
    assert visible(page, ".claim") == every


def test_the_link_to_the_content_moves_the_focus_there_and_keeps_the_view(open_page):
    page = open_page()
    page.locator('[data-preset="evaluate"]').click()
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    assert fragment(page) == "#for=evaluate"


def test_the_way_back_to_the_bare_address_leads_to_the_first_view(open_page, report):
    page = open_page()
    first = page.evaluate(VIEW)
    page.goto(f"{report.as_uri()}#for=evaluate&size=small&words=is&open=freeze")
    page.wait_for_function("document.querySelector('[aria-current=true]').dataset.preset === 'evaluate'")
    page.go_back()
    page.wait_for_function("document.querySelector('[aria-current=true]').dataset.preset === 'everything'")
    assert page.evaluate(VIEW) == first


@pytest.mark.parametrize("key", ["ctrlKey", "metaKey", "shiftKey"])
@pytest.mark.parametrize("link", ['[data-preset="evaluate"]', ".claim a[href^='#']"])
def test_a_click_with_a_key_that_opens_another_tab_is_left_to_the_browser(open_page, link, key):
    page = open_page()
    before = page.evaluate(VIEW)
    # The listener of the window comes last: it keeps the browser from opening a tab.
    prevented = page.evaluate(
        """([link, key]) => {
          let prevented;
          addEventListener("click", event => { prevented = event.defaultPrevented; event.preventDefault(); });
          const event = new MouseEvent("click", {bubbles: true, cancelable: true, [key]: true});
          document.querySelector(link).dispatchEvent(event);
          return prevented;
        }""",
        [link, key],
    )
    assert prevented is False
    assert page.evaluate(VIEW) == before


def test_copied_is_said_until_the_address_changes(open_page):
    page = open_page()
    page.evaluate("Object.defineProperty(navigator.clipboard, 'writeText', {value: async () => {}})")
    copy = page.locator("#copy")
    assert copy.inner_text() == "Copy link"
    copy.click()
    page.wait_for_function("document.getElementById('copy').textContent === 'Copied'")
    page.locator('[data-preset="evaluate"]').click()
    assert copy.inner_text() == "Copy link"


def test_a_claim_without_a_topic_is_in_every_preset(open_page):
    page = open_page()
    claim = page.locator(".claim[data-topic]").first
    claim.evaluate("each => { each.dataset.topic = ''; each.dataset.first = ''; }")
    for preset in page.locator("[data-preset]").all():
        preset.click()
        assert page.locator("[data-first]").is_visible()
