"""The demo of summarization in a headless Chromium, and its functions."""

import pytest

from demos import app, space, summarization
from demos.shelf import Shelf
from tests import tiny_mail
from tests.conftest import ROOT
from tests.demos.test_label_browser import Reader
from tests.demos.test_translation_browser import driver, pytestmark  # noqa: F401

MAIL = "Hi all, please look at the storage request today. Thanks, Maria"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return tiny_mail.model_folder(tmp_path_factory.getbasetemp()).parent


@pytest.fixture(scope="module")
def address(models):
    page = app.build(models)
    yield app.serve(page, host="127.0.0.1", block=False)
    page.close()


@pytest.fixture
def page(driver, address):  # noqa: F811
    reader = Reader(driver)
    reader.open(address, "Summarization", ("#mail", "#summarize", "#summary-notice"))
    return reader


def test_a_mail_gets_three_subjects_whose_copied_words_are_marked(page) -> None:
    page.read(MAIL)
    page.shown("#subjects", ["storage", "request"])
    assert len(page.find("#subjects li")) == 3
    assert page.find("#subject textarea")[0].get_attribute("value") == "storage request"
    assert all(word.get_attribute("title").startswith("copied: ") for word in page.find("#subjects span"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Type a sentence to summarize"),
        ("word " * 20_000, "This text has 99,999 characters, and the demo takes at most 50,000."),
        ("?! ...", "There is no word to summarize"),
    ],
    ids=["empty", "20000 words", "signs"],
)
def test_what_cannot_be_read_gets_a_clear_message(page, text, message) -> None:
    page.read(text)
    page.shown("#summary-notice .notice", [message])
    assert not page.find(".toast-body.error")


def test_html_is_shown_and_never_run(page) -> None:
    page.read("<img src=x onerror=\"document.title='run'\"> please look at the <b>gas</b> report")
    page.wait("#subjects li", 3)
    assert page.driver.title != "run" and not page.find("#subjects img, #subjects b")


def test_the_page_says_how_much_the_model_read(models) -> None:
    shelf = Shelf(summarization.TASK, models)
    view = summarization.summarize(shelf, f"{MAIL} {'and more ' * 40}", "tiny-mail")
    assert view.subject and "the model read the first 48" in view.notice


def test_it_is_a_space(models, tmp_path) -> None:
    folder = space.write_space("summarization", tmp_path / "space", models)
    assert "from demos.summarization import main" in (folder / "app.py").read_text()


def test_the_released_model_reads_the_examples() -> None:
    shelf = Shelf(summarization.TASK, ROOT / "model_cards")
    if not shelf.models:
        pytest.skip("no released summarization model in model_cards")
    for example in summarization.EXAMPLES:
        view = summarization.summarize(shelf, example, next(iter(shelf.models)))
        assert view.subject and view.subjects.count("<li>") == 3
