"""A recognizer that knows four tones by heart, in a folder as released models have it."""

import functools
import json
from pathlib import Path

import numpy as np

from tests.recordings import TONES, say


def learn(folder: Path, **options: object) -> Path:
    """Train a tiny model on strings of tones and save it with its processor and a recipe."""
    import torch

    from rnn_hub import RnnForCTC, RnnSpeechConfig
    from rnn_hub.data.speech_collator import SpeechCollator
    from rnn_hub.models.speech.feature_extraction_speech import RnnSpeechFeatureExtractor
    from rnn_hub.models.speech.processing_speech import RnnSpeechProcessor, character_tokenizer

    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(list(TONES), size=1 + number % 4)) for number in range(32)]
    rows = [
        {"audio": say(text, pause=0.1 + 0.05 * (number % 3), seed=number), "text": text}
        for number, text in enumerate(texts)
    ]
    sizes = {"feature_size": 16, "sampling_rate": 8000, "window_length": 200, "hop_length": 80, "tail": 0.1}
    plain = RnnSpeechFeatureExtractor(**sizes, normalization="none")
    features = np.concatenate([plain.features(row["audio"]) for row in rows])
    moments = {"mean": features.mean(axis=0).tolist(), "std": features.std(axis=0).tolist()}
    extractor = RnnSpeechFeatureExtractor(**sizes, normalization="global", **moments)
    processor = RnnSpeechProcessor(extractor, character_tokenizer(TONES))
    network = {"conv_size": 32, "hidden_size": 48, "num_layers": 1, "conv_strides": [1, 2], "bidirectional": False}
    network["cell_type"] = "gru"
    vocabulary = {"vocab_size": len(processor.tokenizer), "input_size": 16, "hop_length": 80}
    model = RnnForCTC(RnnSpeechConfig(**{**network, **vocabulary, **options})).train()
    batch = SpeechCollator(processor)(rows)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(300):
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if loss.item() < 0.03:
            break
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "recipe.yaml").write_text("task: speech-recognition\n", encoding="utf-8")
    return folder


@functools.cache
def learned(folder: Path) -> Path:
    """The model of one direction, trained once a folder."""
    return learn(folder)


def write_language_model(folder: Path, text: str = "m s", **tokenizer: object) -> Path:
    """A language model of characters that knows one text by heart."""
    import torch

    from rnn_hub import RnnCausalLMConfig, RnnForCausalLM
    from rnn_hub.data.tokenization import train_tokenizer

    torch.manual_seed(0)
    given = {"model_type": "char", "eos": "before", "model_max_length": None, **tokenizer}
    own = train_tokenizer([*TONES, text], 40, **given)
    ids = own(text, return_tensors="pt").input_ids
    model = RnnForCausalLM(RnnCausalLMConfig(vocab_size=len(own), embedding_size=32, hidden_size=32, num_layers=1))
    labels = torch.cat([ids[:, 1:], torch.tensor([[own.eos_token_id]])], dim=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(60):
        loss = model(input_ids=ids, shift_labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval().save_pretrained(folder)
    own.save_pretrained(folder)
    return folder


def processor_kind(folder: Path, kind: str) -> None:
    """Rewrite what a model folder's feature extractor reads."""
    path = folder / "processor_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["feature_extractor"]["kind"] = kind
    path.write_text(json.dumps(config), encoding="utf-8")
