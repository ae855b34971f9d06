"""The translation demo's functions: the stream of views, the notices, the heat map."""

import re
import threading
import time
from itertools import pairwise

import numpy as np
import pytest

from demos import text_input, translation
from demos.attention_plot import attention_html
from demos.search_stream import SearchStream
from demos.shelf import Shelf, label
from rnn_hub.errors import RnnHubError
from tests.demos.conftest import PAIRS

DIRECTION = "English → German"
SENTENCE = "A dog runs through the snow."


@pytest.fixture(scope="module")
def shelf(models):
    return Shelf("translation", models)


@pytest.fixture(autouse=True)
def unpaced(monkeypatch):
    monkeypatch.setattr(translation, "PACE", 0)


def last(shelf, text, direction=DIRECTION, beams=5, alternatives=3):
    """The view that stays on the page."""
    return list(translation.translate(shelf, text, direction, beams, alternatives))[-1]


def words(html):
    """The text of some HTML, without its tags."""
    return re.sub("<[^>]*>", "", html)


def test_the_shelf_offers_what_is_trained_and_names_it_for_people(shelf):
    assert list(shelf.models) == [DIRECTION, f"{DIRECTION} (plain)"]
    assert label("somewhere-else") == "somewhere-else"
    assert label("rnn-translation-en-xx") == "English → xx"


def test_the_shelf_loads_a_model_once(shelf):
    found = []
    threads = [threading.Thread(target=lambda: found.append(shelf[DIRECTION])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(pipe is found[0] for pipe in found)


def test_the_shelf_names_an_unknown_model(shelf):
    with pytest.raises(RnnHubError, match="no model 'Klingon'.*English → German"):
        shelf["Klingon"]


@pytest.mark.parametrize("sentence", PAIRS)
@pytest.mark.parametrize("beams", [1, 5, 10])
def test_the_translation_grows_to_the_best_of_the_list(shelf, sentence, beams):
    views = list(translation.translate(shelf, sentence, DIRECTION, beams, 3))
    growing = [view.translation for view in views[:-1]]
    assert len(growing) >= 4 and all(len(a) <= len(b) for a, b in pairwise(growing))
    view = views[-1]
    assert view.translation == growing[-1] == PAIRS[sentence]
    assert view.notice == ""
    assert [row[0] for row in view.best] == [str(rank + 1) for rank in range(min(3, beams))]
    assert view.best[0][1] == PAIRS[sentence]
    scores = [float(row[2]) for row in view.best]
    assert scores == sorted(scores, reverse=True) and scores[0] <= 0


def test_the_heat_map_has_a_row_a_target_token_and_a_column_a_source_token(shelf):
    view = last(shelf, SENTENCE)
    record = view.records[0]
    assert view.heat_map.count('scope="col"') == len(record["source_tokens"])
    assert view.heat_map.count('scope="row"') == len(record["target_tokens"])
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", view.heat_map)
    weights = [sum(map(float, re.findall(r"--w:([\d.]+)", row))) for row in rows]
    assert weights == pytest.approx([1] * len(rows), abs=0.1)


def test_each_of_the_best_has_its_heat_map(shelf):
    view = last(shelf, SENTENCE)
    assert translation.heat_map(view.records, 0) == view.heat_map
    assert translation.heat_map(view.records, 1) != view.heat_map
    assert translation.heat_map(None, 0) == ""


def test_a_model_without_attention_says_so(shelf):
    view = last(shelf, SENTENCE, direction=f"{DIRECTION} (plain)")
    assert len(view.best) == 3
    assert "no attention to show" in view.heat_map


@pytest.mark.parametrize("text", ["", "   ", "\n\t \u00a0", None])
def test_no_text_asks_for_one(shelf, text):
    assert last(shelf, text) == translation.View(
        notice=text_input.notice("Type a sentence to translate, or pick an example.")
    )


@pytest.mark.parametrize("text", ["🐕🏂❄️", "... !?", "<>", "\x00\x01"])
def test_a_text_without_a_word_says_so(shelf, text):
    assert words(last(shelf, text).notice) == "There is no word to translate in this text."


def test_ten_thousand_words_name_the_limit_at_once(shelf):
    start = time.perf_counter()
    view = last(shelf, "word " * 10_000)
    assert "49,999 characters" in view.notice and "at most 1,000" in view.notice
    assert time.perf_counter() - start < 1


def test_more_subwords_than_the_model_takes_name_its_limit(shelf):
    assert "the model takes at most 256" in last(shelf, "狗在雪地里跑" * 100).notice


@pytest.mark.parametrize("text", ["犬が雪の中を走っている。", "Собака бежит по снегу.", "الكلب يجري في الثلج"])
def test_another_script_gives_a_doubt(shelf, text):
    view = last(shelf, text)
    assert "never saw in training" in view.notice
    assert len(view.best) == 3


@pytest.mark.parametrize(
    "text", ["Un chien court 🐕 dans la neige", "<b>A dog</b> runs", "x" * 200, "a\ud800b", "A \x00 dog", "1"]
)
def test_odd_text_gives_a_translation(shelf, text):
    view = last(shelf, text)
    assert len(view.best) == 3
    assert view.heat_map.startswith("<p")


def test_html_in_the_text_is_shown_and_never_run(shelf):
    view = last(shelf, "<script>alert(1)</script> A dog <img src=x onerror=alert(2)>")
    assert not re.findall("<(script|img)", view.heat_map)
    assert "&lt;" in view.heat_map


def test_tokens_are_escaped_and_readable():
    html = attention_html(np.array([[0.25, 0.751]]), ['▁"><b>', "▁"], ["rad"])
    assert "<b>" not in html and "&quot;&gt;&lt;b&gt;" in html
    assert "<span>-rad</span>" in html and "<span>␣</span>" in html
    assert "--w:0.751" in html


def test_a_damaged_model_gives_a_notice(models, tmp_path):
    folder = tmp_path / "rnn-translation-en-de"
    folder.mkdir()
    for file in (models / folder.name).iterdir():
        content = file.read_bytes()
        (folder / file.name).write_bytes(content[:500] if file.suffix == ".safetensors" else content)
    view = last(Shelf("translation", tmp_path), SENTENCE)
    assert "damaged" in view.notice and view.best is None


def test_a_reader_who_leaves_stops_the_search(shelf):
    search = SearchStream(shelf[DIRECTION], SENTENCE, num_beams=1, min_new_tokens=5000, max_new_tokens=5001)
    start = time.perf_counter()
    reader = iter(search)
    next(reader)
    reader.close()
    assert time.perf_counter() - start < 2
    assert search.result is None


def test_an_error_of_the_search_reaches_the_reader(shelf):
    with pytest.raises(RnnHubError, match="num_return_sequences=3"):
        list(SearchStream(shelf[DIRECTION], SENTENCE, num_beams=2, num_return_sequences=3))


def test_two_visitors_at_once_get_what_each_alone_gets(shelf):
    alone = {text: last(shelf, text).best for text in PAIRS}
    together = {}
    threads = [
        threading.Thread(target=lambda text=text: together.update({text: last(shelf, text).best})) for text in PAIRS
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
