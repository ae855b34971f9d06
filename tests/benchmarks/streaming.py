"""A language model writes token by token, batch 1, greedy: our loop, in 8-bit integers, transformers' loop over a plain
`nn.LSTM` of the same weights, and onnxruntime's step of the same network in a bare loop.

All but the 8-bit one write the same tokens. Without the packages onnx and onnxruntime their row is left out.
"""

from functools import partial
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from timing import arguments, interleave, report, seconds
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from rnn_hub.models.causal_lm.configuration_causal_lm import RnnCausalLMConfig
from rnn_hub.models.causal_lm.modeling_causal_lm import RnnForCausalLM

START = 5


class PlainConfig(PreTrainedConfig):
    """The configuration of `Plain`."""

    model_type = "plain_lstm"


class Plain(PreTrainedModel, GenerationMixin):
    """What people write today: `nn.LSTM` in `generate()`, its state kept from step to step."""

    config_class = PlainConfig
    main_input_name = "input_ids"
    _supports_cache_class = False

    def __init__(self, config: PlainConfig, model: RnnForCausalLM):
        super().__init__(config)
        sizes = model.config
        self.embedding = nn.Embedding.from_pretrained(model.embeddings(torch.arange(sizes.vocab_size)).detach())
        self.lstm = nn.LSTM(sizes.embedding_size, sizes.hidden_size, sizes.num_layers, batch_first=True)
        self.lstm.load_state_dict(model.stacks[0].state_dict())
        self.head = nn.Linear(sizes.hidden_size, sizes.vocab_size)
        self.head.load_state_dict(model.lm_head.state_dict())
        self.state = None

    def forward(self, input_ids: Tensor, **kwargs: object) -> CausalLMOutputWithPast:
        """One step; the first call of a text begins with no state."""
        state = self.state if input_ids.shape[1] > 1 or kwargs.get("more") else None
        outputs, self.state = self.lstm(self.embedding(input_ids[:, -1:]), state)
        return CausalLMOutputWithPast(logits=self.head(outputs))

    def prepare_inputs_for_generation(self, input_ids: Tensor, **kwargs: object) -> dict[str, object]:
        """The last token; whether it is the first is known from the length."""
        return {"input_ids": input_ids[:, -1:], "more": input_ids.shape[1] > 1}


class Step(nn.Module):
    """One step of the network as a function of a token and the state."""

    def __init__(self, plain: Plain):
        super().__init__()
        self.embedding, self.lstm, self.head = plain.embedding, plain.lstm, plain.head

    def forward(self, token: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """token (1, 1) -> logits (1, V) and the next state."""
        output, (h, c) = self.lstm(self.embedding(token), (h, c))
        return self.head(output)[:, -1], h, c


def session(plain: Plain, folder: str, threads: int) -> Any:
    """The step in onnxruntime."""
    import onnxruntime

    path, layers, hidden = f"{folder}/step.onnx", plain.lstm.num_layers, plain.lstm.hidden_size
    zeros = torch.zeros(layers, 1, hidden)
    names = (["token", "h", "c"], ["logits", "next_h", "next_c"])
    torch.onnx.export(
        Step(plain).eval(),
        (torch.full((1, 1), START), zeros, zeros),
        path,
        input_names=names[0],
        output_names=names[1],
        dynamo=False,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def with_onnx(run: Any, zeros: np.ndarray, steps: int) -> list[int]:
    """Greedy, in a bare loop."""
    token, h, c, written = np.full((1, 1), START), zeros, zeros, [START]
    for _ in range(steps):
        logits, h, c = run.run(None, {"token": token, "h": h, "c": c})
        token[0, 0] = logits.argmax()
        written.append(int(token[0, 0]))
    return written


@torch.no_grad()
def main() -> None:
    """Measures the released model's size and a large one."""
    parser = arguments(__doc__, rounds=15)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for vocab_size, embedding_size, hidden_size in ((65, 64, 256), (65, 128, 512), (10000, 256, 512)):
        torch.manual_seed(0)
        config = RnnCausalLMConfig(
            vocab_size=vocab_size,
            embedding_size=embedding_size,
            hidden_size=hidden_size,
            num_layers=2,
            tie_word_embeddings=False,
            initializer_range=1.0,
        )
        model = RnnForCausalLM(config).eval()
        model.generation_config.eos_token_id = model.generation_config.pad_token_id = None
        plain = Plain(PlainConfig(), model).eval()
        greedy = {"do_sample": False, "max_new_tokens": given.steps}
        start = torch.full((1, 1), START)
        ways = {
            "ours": partial(model.generate, start, **greedy),
            "nn.LSTM on transformers' loop": partial(plain.generate, start, use_cache=False, **greedy),
        }
        if find_spec("onnx") and find_spec("onnxruntime"):
            with TemporaryDirectory() as folder:
                step = session(plain, folder, given.threads)
            zeros = np.zeros((2, 1, hidden_size), dtype=np.float32)
            ways["onnxruntime's step"] = partial(with_onnx, step, zeros, given.steps)
        texts = [torch.as_tensor(way()).flatten().tolist() for way in ways.values()]
        assert all(text == texts[0] for text in texts), "they do not write the same"
        int8 = RnnForCausalLM(config).eval()
        int8.load_state_dict(model.state_dict())
        int8.generation_config = model.generation_config
        ways["ours in int8"] = partial(int8.decode_in_int8().generate, start, **greedy)
        costs = interleave({name: partial(seconds, way, given.clock) for name, way in ways.items()}, given.rounds, 2)
        title = f"writing token by token, LSTM 2 x {hidden_size}, {vocab_size} tokens"
        report(title, costs, "ours", microseconds_a_step=1e6 * costs["ours"] / given.steps)


if __name__ == "__main__":
    main()
