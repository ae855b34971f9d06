"""The demos of sentiment and entities in a headless Chromium, and their functions."""

import re
import time

import pytest

from demos import app, entities, sentiment, space
from demos.shelf import Shelf
from tests import tiny_labels
from tests.conftest import ROOT
from tests.demos.test_translation_browser import PASTE, WAIT, Visitor, driver, pytestmark  # noqa: F401

OPINION, VISIT = "The cast is brilliant.", "Ada Lovelace saw New York."
PAGES = {"Sentiment": ("#review", "#judge", "#sentiment-notice"), "Entities": ("#names-text", "#find", "#names-notice")}


class Reader(Visitor):
    """What a person does with a tab."""

    def open(self, address, tab, parts=None, field=None):
        self.driver.get(address)
        self.text, self.button, self.place = parts or PAGES[tab]
        self.wait("button[role=tab]", 2)
        next(each for each in self.find("button[role=tab]") if each.text == tab).click()
        self.wait(field or f"{self.text} textarea")

    def read(self, text):
        self.driver.execute_script(PASTE, self.wait(f"{self.text} textarea")[0], text)
        self.find(self.button)[0].click()

    def wait_for(self, condition):
        """Waits until something holds."""
        end = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < end, "it did not come to hold"
            time.sleep(0.05)

    def shown(self, selector, expected):
        """Waits until the text of an element holds all that is expected."""
        end, text = time.monotonic() + WAIT, ""
        while time.monotonic() < end:
            text = " ".join(found.text for found in self.find(selector))
            if all(part in text for part in expected):
                return text
            time.sleep(0.05)
        raise AssertionError(f"{selector} shows {text!r}, expected {expected}")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    opinion, _ = (tiny_labels.model_folder(base, kind) for kind in ("opinion", "visit"))
    return opinion.parent


@pytest.fixture(scope="module")
def address(models):
    page = app.build(models)
    yield app.serve(page, host="127.0.0.1", block=False)
    page.close()


@pytest.fixture
def reader(driver, address):  # noqa: F811
    def open_tab(tab):
        reader = Reader(driver)
        reader.open(address, tab)
        return reader

    return open_tab


def test_a_review_gets_a_label_a_score_and_shaded_words(reader) -> None:
    page = reader("Sentiment")
    page.read(OPINION)
    assert page.shown("#sentiment", ["positive", "negative", "%"]).count("%") == 2
    page.shown("#weights", ["The", "cast", "brilliant"])
    tones = {word.value_of_css_property("background-color") for word in page.find("#weights span")}
    assert len(tones) >= 2, "the words are shaded"


def test_names_are_marked_and_listed_with_their_kinds(reader) -> None:
    page = reader("Entities")
    page.read(VISIT)
    page.shown("#names", ["Ada Lovelace", "PERSON", "New York", "PLACE"])
    page.shown("#names-table", ["Ada Lovelace", "New York", "person", "place"])


@pytest.mark.parametrize("tab", PAGES)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Type a sentence to"),
        ("word " * 10_000, "This text has 49,999 characters, and the demo takes at most 1,000."),
        ("🐕🏂", "There is no word to"),
    ],
    ids=["empty", "10000 words", "emoji"],
)
def test_what_cannot_be_read_gets_a_clear_message(reader, tab, text, message) -> None:
    page = reader(tab)
    page.read(text)
    assert page.shown(f"{page.place} .notice", [message]).startswith(message)
    assert not page.find(".toast-body.error")


@pytest.mark.parametrize("tab", PAGES)
def test_html_is_shown_and_never_run(reader, tab) -> None:
    page = reader(tab)
    page.read("<img src=x onerror=\"document.title='run'\"> Ada <b>saw</b> a brilliant film in Bath")
    page.shown({"Sentiment": "#weights", "Entities": "#names"}[tab], ["brilliant"])
    assert page.driver.title != "run" and not page.find("#weights img, #names img, #names b, #weights b")


def test_unknown_words_are_a_guess_and_the_page_says_so(reader) -> None:
    page = reader("Sentiment")
    page.read("犬が雪の中を走っている")
    page.shown("#sentiment-notice", ["words the model never saw in training"])


def test_the_parts_of_a_text_are_the_text() -> None:
    text = "A dull film."
    spans = [(0, 1), (2, 6), (7, 11), (11, 12)]
    html = sentiment.weights_html(text, spans, [[0.1, 0.6, 0.2, 0.1], [0.1, 0.8, 0.1, 0]])
    assert re.sub("<[^>]*>", "", html) == text
    assert '<span style="--w:1.000" title="0.70">dull</span>' in html
    assert '<span style="--w:0.214" title="0.15">film</span>' in html
    found = [{"entity_group": "PER", "start": 0, "end": 3}, {"entity_group": "X", "start": 4, "end": 7}]
    assert entities.mark("Ada Ida.", found) == [("Ada", "person"), (" ", None), ("Ida", "X"), (".", None)]
    assert entities.mark("none", []) == [("none", None)]


@pytest.mark.parametrize("name", ["sentiment", "entities"])
def test_each_is_a_space(name, models, tmp_path) -> None:
    folder = space.write_space(name, tmp_path / name, models)
    assert f"from demos.{name} import main" in (folder / "app.py").read_text()
    assert len(list(folder.glob("model_cards/*/model.safetensors"))) == 1


@pytest.mark.parametrize(("demo", "run"), [(sentiment, sentiment.classify), (entities, entities.find)])
def test_the_released_models_read_the_examples(demo, run) -> None:
    shelf = Shelf(demo.TASK, ROOT / "model_cards")
    if not shelf.models:
        pytest.skip(f"no released {demo.TASK} model in model_cards")
    for example in demo.EXAMPLES:
        view = run(shelf, example, next(iter(shelf.models)))
        assert view[0] and view[1], example
