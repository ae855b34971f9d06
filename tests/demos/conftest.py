"""A model that knows four sentences by heart, in a folder as released models have it."""

from pathlib import Path

import pytest

PAIRS = {
    "A dog runs through the snow.": "Ein Hund läuft durch den Schnee.",
    "Two dogs are playing in the snow.": "Zwei Hunde spielen im Schnee.",
    "A man is reading a newspaper.": "Ein Mann liest eine Zeitung.",
    "A girl jumps into the water.": "Ein Mädchen springt ins Wasser.",
}


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A folder of model folders: English to German, with attention and without."""
    folder = tmp_path_factory.mktemp("models")
    learn(folder / "rnn-translation-en-de", attention_type="dot")
    learn(folder / "rnn-translation-en-de-plain", attention_type=None, steps=1)
    (folder / "rnn-translation-de-en").mkdir()  # a recipe not trained yet is no model to offer
    (folder / "rnn-translation-de-en" / "recipe.yaml").write_text("task: translation\n")
    return folder


def learn(folder: Path, steps: int = 400, **config) -> None:
    """Train a tiny model on the pairs and save it with its tokenizer."""
    import torch
    from transformers import GenerationConfig

    from rnn_hub import RnnForConditionalGeneration, RnnSeq2SeqConfig
    from rnn_hub.data.tokenization import train_tokenizer

    torch.manual_seed(0)
    tokenizer = train_tokenizer([*PAIRS, *PAIRS.values()], 400, model_max_length=256)
    sizes = {"embedding_size": 48, "encoder_hidden_size": 48, "decoder_hidden_size": 96}
    config = RnnSeq2SeqConfig(vocab_size=len(tokenizer), dropout=0.0, **sizes, **config)
    model = RnnForConditionalGeneration(config).train()
    source = tokenizer(list(PAIRS), padding=True, return_tensors="pt")
    labels = tokenizer(list(PAIRS.values()), padding=True, return_tensors="pt").input_ids
    labels[labels == tokenizer.pad_token_id] = -100
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        loss = model(**source, labels=labels).loss
        if loss < 0.02:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    ids = {name: getattr(config, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    start = config.decoder_start_token_id
    model.generation_config = GenerationConfig(max_new_tokens=64, decoder_start_token_id=start, **ids)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "recipe.yaml").write_text("task: translation\n", encoding="utf-8")
