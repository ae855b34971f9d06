"""A model of music with random weights, in a folder as released models have it."""

from pathlib import Path


def write_model(folder: Path) -> Path:
    """A folder of one model folder; its music is wild and valid."""
    import torch
    from transformers import GenerationConfig

    from rnn_hub import RnnCausalLMConfig, RnnForCausalLM
    from rnn_hub.data.music import MODES, TONICS
    from rnn_hub.data.music_tokens import music_tokenizer, vocabulary

    torch.manual_seed(0)
    tokenizer = music_tokenizer(vocabulary([(60, 81), (52, 74), (46, 69), (36, 66)], header=False))
    labels = {"mode": list(MODES), "tonic": list(TONICS)}
    sizes = {"vocab_size": len(tokenizer), "embedding_size": 16, "hidden_size": 16}
    model = RnnForCausalLM(RnnCausalLMConfig(**sizes, condition_labels=labels))
    ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    model.generation_config = GenerationConfig(do_sample=True, top_k=0, max_new_tokens=2000, **ids)
    model.save_pretrained(folder / "rnn-music-wild")
    tokenizer.save_pretrained(folder / "rnn-music-wild")
    (folder / "rnn-music-wild" / "recipe.yaml").write_text("task: music-generation\n", encoding="utf-8")
    return folder
