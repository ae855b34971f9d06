"""Trained tokenizers: what decodes comes back, what is saved loads anywhere, dropout stays inside."""

import copy
import pickle
import re
import subprocess
import sys
import threading

import pytest
from transformers import AutoTokenizer

from rnn_hub.data.loading import load_split
from rnn_hub.data.tokenization import EOS, subword_dropout, token_lengths, train_tokenizer
from rnn_hub.errors import RnnHubError

HARD = [
    'Zwei "Männer" – l’été, „ja“ sagt’s: «Oui !»',
    "Emoji 🙂, a family 👩‍👩‍👧, 漢字, Ελλάδα and łódź",
    "Special-looking text: </s> <pad> <unk> <0x41>",
    "a" * 500,
    "...!?;:(()){}[]",
    "3.14 % of $1,000",
]


def decode(tokenizer, text: str) -> str:
    return tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True)


def test_special_tokens_come_first_and_every_text_ends_with_eos(tokenizer):
    assert tokenizer.convert_tokens_to_ids(["<pad>", "<unk>", "<s>", "</s>"]) == [0, 1, 2, 3]
    assert tokenizer("Ein Mann.")["input_ids"][-1] == tokenizer.eos_token_id == 3
    assert tokenizer("")["input_ids"] == [3]
    assert len(tokenizer) == 450 or tokenizer.backend_tokenizer.get_vocab_size() == len(tokenizer) < 450


def test_decoding_restores_the_training_text(tokenizer, texts):
    assert [decode(tokenizer, text) for text in texts[:8]] == texts[:8]


@pytest.mark.parametrize("text", HARD)
def test_decoding_restores_unseen_characters_and_spelled_specials(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert ids.count(tokenizer.eos_token_id) == 1 and tokenizer.pad_token_id not in ids
    assert decode(tokenizer, text) == text


def test_normalization_is_only_white_space_composition_and_the_space_sign(tokenizer):
    assert decode(tokenizer, "  ein \t Mann\u00a0!\n") == "ein Mann !"
    assert decode(tokenizer, "Ma\u0308nner") == "M\u00e4nner"
    assert decode(tokenizer, "a▁b") == "a_b"


def test_punctuation_is_never_glued_to_a_word(tokenizer):
    for token in tokenizer.tokenize('Ein Mann sagt: "Hallo, Nähe!"'):
        assert not re.search(r"\w[^\w]|[^\w▁]\w", token) or token.startswith("<0x")


def test_lowercase_folds_case(texts):
    tokenizer = train_tokenizer(texts, 450, lowercase=True)
    assert decode(tokenizer, "Zwei MÄNNER") == "zwei männer"


@pytest.mark.parametrize("model_type", ["bpe", "unigram"])
def test_training_twice_gives_the_same_tokenizer(texts, model_type):
    first, second = (train_tokenizer(texts, 450, model_type) for _ in range(2))
    assert first.get_vocab() == second.get_vocab()


def test_loads_by_autotokenizer_in_a_fresh_process(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    text = "Ein Mann </s> 🙂, »ja«."
    code = (
        "import sys; from transformers import AutoTokenizer; "
        "tokenizer = AutoTokenizer.from_pretrained(sys.argv[1]); ids = tokenizer(sys.argv[2])['input_ids']; "
        "print(ids); print(tokenizer.decode(ids, skip_special_tokens=True)); "
        "print(tokenizer.padding_side, tokenizer.model_max_length, tokenizer.pad_token_id)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), text]
    done = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    assert done.stdout.splitlines() == [str(tokenizer(text)["input_ids"]), text, "right 512 0"]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda tokenizer: pickle.loads(pickle.dumps(tokenizer))])
def test_copies_keep_everything_and_share_nothing(tokenizer, copied):
    other = copied(tokenizer)
    assert other(HARD[2])["input_ids"] == tokenizer(HARD[2])["input_ids"]
    with subword_dropout(other, 0.9):
        assert tokenizer.tokenize(HARD[0]) == tokenizer.tokenize(HARD[0])


def test_dropout_changes_the_segmentation_but_not_the_text(tokenizer, texts):
    plain = tokenizer.tokenize(texts[0])
    with subword_dropout(tokenizer, 0.3):
        drawn = {tuple(tokenizer.tokenize(texts[0])) for _ in range(20)}
        assert decode(tokenizer, texts[0] + " 🙂") == texts[0] + " 🙂"
        assert tokenizer(texts[0], truncation=True, max_length=5)["input_ids"][-1] == tokenizer.eos_token_id
    assert len(drawn) > 5
    assert max(map(len, drawn)) > len(plain)
    assert all(tokenizer.tokenize(texts[0]) == plain for _ in range(5))


def test_dropout_is_off_again_after_an_error_and_never_saved(tokenizer, texts, tmp_path):
    with pytest.raises(KeyError), subword_dropout(tokenizer, 0.5):
        raise KeyError
    tokenizer.save_pretrained(tmp_path)
    saved = (tmp_path / "tokenizer.json").read_text(encoding="utf-8")
    assert '"dropout": 0' not in saved and '"alpha": 0' not in saved
    assert tokenizer.tokenize(texts[1]) == tokenizer.tokenize(texts[1])


def test_dropout_breaks_words_into_more_tokens(tokenizer, texts):
    counts = []
    for rate in (0.0, 0.1, 0.9):
        with subword_dropout(tokenizer, rate):
            counts.append(sum(token_lengths(tokenizer, texts)))
    assert counts[0] < counts[1] and counts[0] * 1.1 < counts[2]


def test_two_threads_may_drop_at_once(tokenizer, texts):
    errors = []

    def work() -> None:
        try:
            for _ in range(20):
                with subword_dropout(tokenizer, 0.2):
                    tokenizer(texts[:4])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not errors
    assert tokenizer.tokenize(texts[0]) == tokenizer.tokenize(texts[0])


def test_token_lengths_count_eos_and_the_limit(tokenizer, texts):
    full = [len(tokenizer(text)["input_ids"]) for text in texts[:8]]
    assert token_lengths(tokenizer, texts[:8]) == full
    assert token_lengths(tokenizer, texts[:8], max_length=6) == [min(length, 6) for length in full]


@pytest.mark.parametrize("model_type", ["char", "word", "bpe", "unigram"])
def test_a_language_models_text_begins_with_eos_and_decodes_as_a_continuation(texts, model_type, tmp_path):
    train_tokenizer(texts, 450, model_type, model_max_length=None, eos="before").save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    ids = tokenizer(texts[0])["input_ids"]
    assert ids[0] == tokenizer.bos_token_id == tokenizer.eos_token_id == 3
    assert 3 not in ids[1:]
    assert decode(tokenizer, texts[0]) == (texts[0] if model_type == "char" else " " + texts[0])
    assert tokenizer.padding_side == "left"
    assert tokenizer(texts[0] * 100)["input_ids"][-1] == ids[-1]


def test_characters_keep_white_space_and_what_is_rare_or_unseen_is_unknown(texts):
    text = "two\n\n  Men\t"
    tokenizer = train_tokenizer([text], 99, "char", eos="none")
    assert decode(tokenizer, text) == text
    assert tokenizer(text + "?")["input_ids"][-1] == tokenizer.unk_token_id
    assert tokenizer.bos_token_id is None and tokenizer("")["input_ids"] == []
    words = train_tokenizer(["b a a <unk> c c c"], 6, "word")
    assert words.get_vocab().keys() - {"<pad>", "<unk>", "<s>", "</s>"} == {"a", "c"}
    assert words("c <unk> b")["input_ids"] == [4, 1, 1, 3]
    assert words.decode(words("c a")["input_ids"], skip_special_tokens=True) == "c a"


def test_bad_arguments_are_told(texts, tokenizer):
    with pytest.raises(RnnHubError, match="after, before, none"):
        train_tokenizer(texts, 450, eos="between")
    with pytest.raises(RnnHubError, match="no text"):
        train_tokenizer(["", " \n"], 450, "char")
    with pytest.raises(RnnHubError, match="leaves nothing"):
        train_tokenizer(texts, 4, "word")
    with pytest.raises(RnnHubError, match="bpe, unigram, char, word"):
        train_tokenizer(texts, 450, model_type="wordpiece")
    with pytest.raises(RnnHubError, match="no text"):
        train_tokenizer(["", "  "], 450)
    with pytest.raises(RnnHubError, match="vocab_size 300 is too small"):
        train_tokenizer(texts, 300)
    with pytest.raises(RnnHubError, match=r"\[0, 1\)"), subword_dropout(tokenizer, 1.0):
        pass


def test_multi30k_decodes_exactly(multi30k):
    validation = load_split(multi30k, "validation", columns=("en", "de", "fr"))
    texts = [text for column in ("en", "de", "fr") for text in validation[column]]
    tokenizer = train_tokenizer(texts, 4000)
    decoded = tokenizer.batch_decode(tokenizer(texts)["input_ids"], skip_special_tokens=True)
    assert decoded == [" ".join(text.split()) for text in texts]
    assert EOS not in "".join(decoded)
