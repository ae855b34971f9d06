"""The demo that writes, in a headless Chromium and as a function."""

import itertools
import re
import time

import pytest
import torch

from demos import app, space, text_generation
from demos.shelf import Shelf
from rnn_hub.data.tokenization import train_tokenizer
from rnn_hub.models.causal_lm.configuration_causal_lm import RnnCausalLMConfig
from rnn_hub.models.causal_lm.modeling_causal_lm import RnnForCausalLM
from tests.demos.test_translation_browser import PASTE, WAIT, Visitor, driver, pytestmark  # noqa: F401

TEXT = "to be or not to be, that is the question:\nwhether it is nobler"


def save(folder, model_type: str, eos: str) -> None:
    """A small random model that writes characters, or words and may end."""
    torch.manual_seed(1)
    tokenizer = train_tokenizer([TEXT], 100, model_type, model_max_length=None, eos=eos)
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3 if eos == "before" else None}
    config = RnnCausalLMConfig(vocab_size=len(tokenizer), embedding_size=16, hidden_size=16, **ids)
    model = RnnForCausalLM(config)
    with torch.no_grad():
        model.lm_head.bias[:4] = -9.0  # no special tokens
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "recipe.yaml").write_text("task: language-modeling\n")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("writers")
    for name, kind in {"characters": ("char", "none"), "words": ("word", "before")}.items():
        (folder / name).mkdir()
        save(folder / name, *kind)
    return folder


@pytest.fixture(scope="module")
def shelf(models):
    return Shelf(text_generation.TASK, models)


def written(shelf, prompt="to be", model="characters", length=50, temperature=0.8, top_p=1.0, seed=3):
    return list(text_generation.write(shelf, prompt, model, length, temperature, top_p, seed))


def test_a_text_grows_and_is_the_same_for_the_same_seed(shelf) -> None:
    views = written(shelf)
    assert [len(view.text) for view in views] == [25, 45, 55]
    assert all(later.text.startswith(view.text) for view, later in itertools.pairwise(views))
    assert written(shelf)[-1].text == views[-1].text != written(shelf, seed=4)[-1].text
    assert written(shelf, temperature=0, seed=1)[-1].text == written(shelf, temperature=0, seed=2)[-1].text
    assert not views[-1].notice


def test_each_token_shows_the_probability_that_it_had(shelf) -> None:
    chances = [float(chance) for chance in re.findall(r'title="([\d.]+) %"', written(shelf, temperature=0)[-1].written)]
    pipe = shelf["characters"]
    tokens = torch.tensor([pipe.tokenizer(written(shelf, temperature=0)[-1].text).input_ids])
    expected = pipe.model(tokens[:, :-1]).logits.softmax(-1).gather(2, tokens[:, 1:, None])[0, 4:, 0]
    assert chances == pytest.approx((100 * expected).tolist(), abs=0.051)


def test_words_are_written_with_spaces(shelf) -> None:
    text = written(shelf, "to be or", "words", 20)[-1].text
    assert text.startswith("to be or ")
    assert len(text.split()) == 23


def test_what_cannot_be_continued_is_said(shelf) -> None:
    assert "Type a beginning" in written(shelf, " \n")[0].notice
    assert "give at most 1,000" in written(shelf, "to be " * 500)[0].notice
    assert "no model &#x27;none&#x27;" in written(shelf, model="none")[0].notice
    (*_, view) = written(shelf, "to <b>bé</b>")
    assert "never seen &#x27;&lt;&#x27;" in view.notice
    assert "<b>to &lt;b&gt;bé" in view.written


def test_a_visitor_lets_it_write(driver, models) -> None:  # noqa: F811
    page = app.build(models)
    try:
        visitor = Visitor(driver)
        driver.get(app.serve(page, host="127.0.0.1", block=False))
        visitor.wait("button[role=tab]", 2)
        next(tab for tab in visitor.find("button[role=tab]") if tab.text == text_generation.TITLE).click()
        box = visitor.wait("#beginning textarea")[0]
        driver.execute_script(PASTE, box, "whether")
        visitor.find("#write")[0].click()
        end = time.monotonic() + WAIT
        while len(visitor.find(".written span")) < 400 and time.monotonic() < end:
            time.sleep(0.1)
        spans = visitor.find(".written span")
        assert len(spans) == 400
        assert len({span.value_of_css_property("background-color") for span in spans[:40]}) > 3
    finally:
        page.close()


def test_it_is_a_space(models, tmp_path) -> None:
    folder = space.write_space("text_generation", tmp_path / "space", models)
    assert "language-modeling" not in (folder / "app.py").read_text()
    assert (folder / "model_cards" / "characters" / "model.safetensors").is_file()
