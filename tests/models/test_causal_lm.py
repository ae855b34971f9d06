"""The language model: its loss, its conditions, its regularization, and the tools of transformers around it."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import pipeline

from rnn_hub.cache import RnnCache
from rnn_hub.data.tokenization import train_tokenizer
from rnn_hub.models.causal_lm.configuration_causal_lm import RnnCausalLMConfig
from rnn_hub.models.causal_lm.modeling_causal_lm import RnnForCausalLM

SIZES = {"vocab_size": 30, "embedding_size": 16, "hidden_size": 24, "num_layers": 2, "initializer_range": 0.5}
CONDITIONS = {"condition_sizes": [4], "condition_vector_size": 3}


def build(**options: object) -> RnnForCausalLM:
    torch.manual_seed(1)
    return RnnForCausalLM(RnnCausalLMConfig(**{**SIZES, **options})).eval()


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(4, 30, (3, 9))


def test_labels_are_shifted_inside_and_the_loss_is_that_of_the_logits(tokens: Tensor) -> None:
    model = build()
    labels = tokens.masked_fill(torch.arange(9) == 4, -100)
    output = model(tokens, labels=labels)
    expected = F.cross_entropy(output.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    torch.testing.assert_close(output.loss, expected)
    shifted = model(tokens[:, :-1], shift_labels=labels[:, 1:])
    torch.testing.assert_close(shifted.loss, expected)
    torch.testing.assert_close(model(tokens, labels=labels, num_items_in_batch=42).loss, expected * 21 / 42)
    assert model.train()(tokens, labels=labels).logits is None


def test_a_window_after_another_continues_it_and_trains_only_itself(tokens: Tensor) -> None:
    model, cache = build(), RnnCache()
    whole = model(tokens[:, :-1], shift_labels=tokens[:, 1:]).loss
    losses = []
    for start in (0, 4):
        inputs = tokens[:, start : start + 4], tokens[:, start + 1 : start + 5]
        cache = cache.detach()
        losses.append(model(inputs[0], shift_labels=inputs[1], past_key_values=cache, use_cache=True).loss)
    torch.testing.assert_close(sum(losses) / 2, whole)
    losses[1].backward(retain_graph=True)
    losses[0].backward()  # not through the second window's graph


def test_the_softmax_over_some_of_the_words_is_for_training_only(tokens: Tensor) -> None:
    plain, model = build(), build(softmax_samples=2)
    torch.testing.assert_close(model(tokens, labels=tokens).loss, plain(tokens, labels=tokens).loss)
    losses = {model.train()(tokens, labels=tokens).loss.item() for _ in range(5)}
    assert len(losses) > 1


def test_activation_regularization_is_that_of_the_paper(tokens: Tensor) -> None:
    plain, model = build().train(), build(activation_regularization=2, temporal_activation_regularization=0.5).train()
    kept = []
    model.output_dropout.register_forward_hook(lambda module, inputs, output: kept.append(output))
    loss = model(tokens[:, :-1], shift_labels=tokens[:, 1:]).loss
    hidden = kept[0]
    ar = 2 * hidden.square().mean()
    tar = 0.5 * (hidden[:, 1:] - hidden[:, :-1]).square().mean() * 7 / 8  # 7 differences, divided by 8 tokens
    torch.testing.assert_close(loss, plain(tokens[:, :-1], shift_labels=tokens[:, 1:]).loss + ar + tar)
    torch.testing.assert_close(model.eval()(tokens, labels=tokens).loss, plain.eval()(tokens, labels=tokens).loss)


def test_word_dropout_drops_all_of_a_word(tokens: Tensor) -> None:
    model = build(word_dropout=0.5).train()
    embedded = model._embed(torch.arange(30).repeat(2, 1))
    dropped = (embedded == 0).all(dim=-1)
    assert torch.equal(dropped[0], dropped[1])
    assert 4 < dropped[0].sum() < 26
    torch.testing.assert_close(embedded[~dropped], 2 * model.embeddings(torch.arange(30).repeat(2, 1))[~dropped])


@pytest.mark.parametrize("place", ["state", "input", "both"])
def test_a_condition_decides_what_is_learned_by_heart(place: str) -> None:
    model = build(**CONDITIONS, condition_as=place).train()
    labels = torch.randint(4, 30, (4, 6))
    inputs = {"input_ids": torch.full((4, 1), 2), "condition_ids": torch.arange(4)[:, None]}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    whole = torch.cat([inputs["input_ids"], labels], dim=1)
    for _ in range(80):
        loss = model(whole, labels=whole, condition_ids=inputs["condition_ids"]).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    written = model.eval().generate(**inputs, max_new_tokens=6, do_sample=False, eos_token_id=None)
    assert torch.equal(written, whole)


@pytest.mark.parametrize(("place", "changes"), [("input", True), ("both", True), ("state", False)])
def test_a_new_condition_changes_the_rest_only_where_it_enters_each_step(tokens, place: str, changes: bool) -> None:
    model = build(**CONDITIONS, condition_as=place)
    first, second = (torch.full((3, 1), value) for value in (0, 1))

    def rest(condition: Tensor | None) -> Tensor:
        cache = model(tokens[:, :5], condition_ids=first, use_cache=True).past_key_values
        return model(tokens[:, 5:], condition_ids=condition, past_key_values=cache).logits

    torch.testing.assert_close(rest(None), model(tokens, condition_ids=first).logits[:, 5:])
    torch.testing.assert_close(rest(None), rest(first))
    assert torch.equal(rest(None), rest(second)) != changes


def test_training_drops_conditions_of_whole_rows_and_an_absent_one_is_zero() -> None:
    model = build(**CONDITIONS, condition_dropout=0.5).train()
    ids, vector, like = torch.tensor([[1]] * 40), torch.randn(40, 3), torch.zeros(40, 1)
    whole = model.eval().condition(ids, vector, like)
    seen = model.train().condition(ids, vector, like)
    dropped = (seen == 0).all(dim=1)
    assert 5 < dropped.sum() < 35
    torch.testing.assert_close(seen[~dropped], whole[~dropped])
    assert not model.condition(torch.full((40, 1), -1), None, like).any()


def test_guidance_steers_away_from_the_model_without_its_condition(tokens: Tensor) -> None:
    model = build(**CONDITIONS)
    mask = torch.ones(3, 9, dtype=torch.long)
    mask[1, :4] = 0
    inputs = {"input_ids": tokens * mask, "attention_mask": mask}
    condition = {"condition_ids": torch.tensor([[0], [1], [2]])}
    with_, without = (model(**inputs, **given).logits[:, -1].log_softmax(-1) for given in (condition, {}))
    options = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None}
    written = model.generate(**inputs, **condition, guidance_scale=3.0, **options)
    assert torch.equal(written[:, 9], (without + 3 * (with_ - without)).argmax(dim=-1))
    alone = model.generate(
        tokens[1:2, 4:], condition_ids=condition["condition_ids"][1:2], guidance_scale=3.0, **options
    )
    assert torch.equal(written[1, 4:], alone[0])
    with pytest.raises(ValueError, match="num_beams=1"):
        model.generate(**inputs, **condition, guidance_scale=3.0, num_beams=2)


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        ({}, {"condition_ids": torch.zeros(3, 1, dtype=torch.long)}, "takes no condition"),
        (CONDITIONS, {"condition_ids": torch.full((3, 1), 4)}, r"below the sizes \[4\]"),
        (CONDITIONS, {"condition_ids": torch.zeros(3, 2, dtype=torch.long)}, r"\(batch, 1\)"),
        (CONDITIONS, {"condition_vector": torch.zeros(3, 2)}, "2 features, the model's has 3"),
        ({}, {"past_key_values": object()}, "must be an RnnCache"),
        ({}, {"inputs_embeds": torch.zeros(3, 9, 16)}, "either input_ids or inputs_embeds"),
    ],
)
def test_what_a_model_cannot_take_is_told(tokens: Tensor, options: dict, given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)(tokens, **given)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bidirectional": True}, "reads forward only"),
        ({"condition_as": "key"}, "'key'.*state, input, both"),
        ({"condition_labels": {"mode": ["major", "minor"]}, "condition_sizes": [3]}, r"\[3\].*\[2\]"),
        ({"condition_sizes": [0]}, "no value"),
        ({"num_layers": 1}, "hidden_size equal embedding_size"),
        ({"activation_regularization": -1}, "must not be negative"),
        ({"softmax_samples": -1}, "softmax_samples must not be negative, got -1"),
        ({"output_dropout": 1.0}, r"output_dropout must be in \[0, 1\)"),
    ],
)
def test_wrong_configurations_name_the_value_and_the_remedy(fields: dict, message: str) -> None:
    with pytest.raises(Exception, match=f"(?s){message}"):
        RnnCausalLMConfig(**{**SIZES, **fields})


def test_right_padded_prompts_are_refused_and_given_embeddings_are_read(tokens: Tensor) -> None:
    model = build()
    options = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": None}
    mask = torch.ones(3, 9, dtype=torch.long)
    mask[0, -2:] = 0
    with pytest.raises(ValueError, match="pad prompts on the left"):
        model.generate(tokens, attention_mask=mask, **options)
    written = model.generate(inputs_embeds=model.embeddings(tokens), **options)
    assert torch.equal(written, model.generate(tokens, **options)[:, 9:])


def test_a_text_written_in_pieces_from_a_kept_state_equals_one_written_at_once(tokens: Tensor) -> None:
    model, options = build(**CONDITIONS), {"do_sample": False, "eos_token_id": None}
    condition = {"condition_ids": torch.tensor([[0], [1], [2]])}
    whole = model.generate(tokens, **condition, max_new_tokens=12, **options)
    last, cache, pieces = tokens, None, [tokens]
    for _ in range(3):
        output = model.generate(
            last, **condition, past_key_values=cache, max_new_tokens=4, return_dict_in_generate=True, **options
        )
        pieces.append(output.sequences[:, last.shape[1] :])
        last, cache, condition = output.sequences[:, -1:], output.past_key_values.restart(), {}
    assert torch.equal(torch.cat(pieces, dim=1), whole)


def test_the_text_generation_pipeline_of_transformers_continues_prompts() -> None:
    words = ["one two three four five six seven eight"] * 9
    tokenizer = train_tokenizer(words, 12, "word", eos="before")
    model = build(vocab_size=len(tokenizer), eos_token_id=3, bos_token_id=3).train()
    tokens = torch.tensor(tokenizer(words[:1])["input_ids"])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(40):
        loss = model(tokens, labels=tokens).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    write = pipeline("text-generation", model=model.eval(), tokenizer=tokenizer, device="cpu")
    outputs = write(["one two", "one two three four", ""], do_sample=False, max_new_tokens=3, batch_size=2)
    texts = [output[0]["generated_text"] for output in outputs]
    assert texts == ["one two three four five", "one two three four five six seven", " one two three"]


def test_the_order_of_conditions_survives_saving(tmp_path) -> None:
    labels = {"tonic": ["C", "G", "D"], "mode": ["major", "minor"]}
    config = RnnCausalLMConfig(vocab_size=20, embedding_size=8, hidden_size=8, condition_labels=labels)
    assert list(config.condition_labels) == ["mode", "tonic"] and config.condition_sizes == [2, 3]
    config.save_pretrained(tmp_path)
    assert RnnCausalLMConfig.from_pretrained(tmp_path).condition_labels == config.condition_labels
