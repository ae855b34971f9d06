"""The demo in a headless Chromium: a visitor types, clicks and reads."""

import shutil
import time

import pytest

from demos import app
from demos.shelf import Shelf
from demos.translation import EXAMPLES
from tests.conftest import ROOT
from tests.demos.conftest import PAIRS

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="needs a browser: apt-get install chromium chromium-driver"
)
SENTENCE = "A dog runs through the snow."
WAIT = 60
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1400",
)
#: sets a text area at once, as pasting does: typing 10,000 words key by key takes minutes
PASTE = """
const set = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set;
set.call(arguments[0], arguments[1]);
arguments[0].dispatchEvent(new Event('input', {bubbles: true}));
"""
#: notes every text that the translation shows from now on
RECORD = """
window.shown = [];
const area = document.querySelector('#translation textarea');
const note = () => {
    if (area.value && area.value !== window.shown.at(-1)) window.shown.push(area.value);
    requestAnimationFrame(note);
};
note();
"""


class Visitor:
    """What a person does with the page."""

    def __init__(self, driver):
        self.driver = driver

    def find(self, selector):
        return self.driver.find_elements("css selector", selector)

    def wait(self, selector, count=1):
        """The elements that a selector finds, once there are enough of them and they are shown."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            found = self.find(selector)
            if len(found) >= count and found[0].is_displayed():
                return found
            time.sleep(0.05)
        raise AssertionError(f"{selector} did not appear; the page says: {self.find('body')[0].text[:2000]}")

    def open(self, address):
        self.driver.get(address)
        self.wait("#source textarea")

    def translate(self, text):
        self.driver.execute_script(PASTE, self.wait("#source textarea")[0], text)
        self.find("#translate")[0].click()

    def translation(self):
        return self.find("#translation textarea")[0].get_property("value")

    def best(self, count=3):
        """The rows of the n-best list: rank, translation, score."""
        self.wait(f"#best [data-testid=cell-{count - 1}-2]")
        return [
            [self.find(f"#best [data-testid=cell-{row}-{column}]")[0].text for column in range(3)]
            for row in range(count)
        ]

    def notice(self):
        return self.wait("#notice .notice")[0].text


@pytest.fixture(scope="module")
def address(models):
    page = app.build(models)
    yield app.serve(page, host="127.0.0.1", block=False)
    page.close()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    yield browser
    browser.quit()


@pytest.fixture
def visitor(driver, address):
    visitor = Visitor(driver)
    visitor.open(address)
    return visitor


def test_typing_and_clicking_shows_translation_list_and_heat_map(visitor):
    visitor.driver.execute_script(RECORD)
    visitor.wait("#source textarea")[0].send_keys(SENTENCE)
    visitor.find("#translate")[0].click()
    cells = visitor.wait("#attention td", count=20)
    shown = visitor.driver.execute_script("return window.shown")
    assert visitor.translation() == shown[-1] == PAIRS[SENTENCE]
    assert len(shown) >= 4, "the translation appears bit by bit"
    rows = visitor.best()
    assert rows[0][:2] == ["1", PAIRS[SENTENCE]]
    assert [row[0] for row in rows] == ["1", "2", "3"] and all(float(row[2]) <= 0 for row in rows)
    columns = [cell.text for cell in visitor.find("#attention thead th")]
    assert columns[1] == "A" and columns[-1] == "</s>"
    lines = [cell.text for cell in visitor.find("#attention tbody th")]
    assert lines[0] == "Ein" and lines[-1] == "</s>"
    assert len(cells) == (len(columns) - 1) * len(lines)
    tones = {cell.value_of_css_property("background-color") for cell in cells}
    assert len(tones) > 3, "the cells are shaded"


def test_picking_another_translation_shows_its_attention(visitor):
    visitor.translate(SENTENCE)
    visitor.wait("#attention td", count=20)
    before = [cell.text for cell in visitor.find("#attention tbody th")]
    assert visitor.best()[1][1] != visitor.best()[0][1]
    visitor.find("#best [data-testid=cell-1-1]")[0].click()
    end = time.monotonic() + WAIT
    while time.monotonic() < end and [cell.text for cell in visitor.find("#attention tbody th")] == before:
        time.sleep(0.1)
    assert [cell.text for cell in visitor.find("#attention tbody th")] != before


def test_an_example_fills_the_page(visitor):
    example = EXAMPLES["English"][0]
    next(button for button in visitor.find("#examples button") if button.text == example).click()
    end = time.monotonic() + WAIT
    while time.monotonic() < end and visitor.find("#source textarea")[0].get_property("value") != example:
        time.sleep(0.05)
    visitor.find("#translate")[0].click()
    visitor.wait("#attention td", count=20)
    assert visitor.translation() == PAIRS[example]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Type a sentence to translate, or pick an example."),
        (" \n ", "Type a sentence to translate, or pick an example."),
        ("word " * 10_000, "This text has 49,999 characters, and the demo takes at most 1,000."),
        ("🐕🏂", "There is no word to translate in this text."),
        ("犬が雪の中を走っている。", "Much of this text is in signs the model never saw in training"),
    ],
    ids=["empty", "spaces", "10000 words", "emoji", "Japanese"],
)
def test_what_cannot_be_translated_gets_a_clear_message(visitor, text, message):
    visitor.translate(text)
    assert visitor.notice().startswith(message)
    assert "Traceback" not in visitor.find("body")[0].text
    assert not visitor.find(".toast-body.error")


def test_html_is_shown_and_never_run(visitor):
    visitor.translate(
        "<img src=x onerror=\"document.title='run'\"> <script>document.title='run'</script> A dog <b>runs</b>"
    )
    visitor.wait("#attention td", count=20)
    assert visitor.driver.title != "run"
    assert not visitor.find("#attention img, #attention script, #attention b, #best img, #notice img")


def test_a_message_goes_when_the_next_text_is_fine(visitor):
    visitor.translate("")
    visitor.notice()
    visitor.translate(SENTENCE)
    visitor.wait("#attention td", count=20)
    assert not visitor.find("#notice .notice")


def test_a_narrow_screen_needs_no_sideways_scrolling(visitor):
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    visitor.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        visitor.translate(f"{SENTENCE} {' '.join(PAIRS)}")
        visitor.wait("#attention td", count=20)
        width = visitor.driver.execute_script("return document.documentElement.scrollWidth")
        assert width <= 390
    finally:
        visitor.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_asks_no_other_host(visitor, address):
    script = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    names = visitor.driver.execute_script(script)
    assert names and all(name.startswith((address, "data:", "blob:")) for name in names)


def test_the_released_models_translate(driver):
    shelf = Shelf("translation", ROOT / "model_cards")
    if not shelf.models:
        pytest.skip("no released translation model in model_cards")
    page = app.build(shelf.folder)
    visitor = Visitor(driver)
    try:
        visitor.open(app.serve(page, host="127.0.0.1", block=False))
        first = next(iter(shelf.models))
        visitor.translate(EXAMPLES[first.partition(" ")[0]][0])
        visitor.wait("#attention td", count=20)
        rows = visitor.best()
        assert visitor.translation() == rows[0][1] != ""
        assert float(rows[0][2]) > -1 and not visitor.find("#notice .notice")
    finally:
        page.close()
