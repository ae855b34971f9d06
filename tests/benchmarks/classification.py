"""Texts a second of a classifier, against a plain padded `nn.LSTM` of the same size that takes them as they arrive.

Both read the same ids with the same batch size, in inference, and pool the mean; ours sorts the texts by length first,
masks, and puts the results back in order, and is charged for all of it.
"""

from functools import partial

import torch
from corpus import DATA as MULTI30K
from datasets import load_dataset
from timing import arguments, interleave, report, seconds
from torch import Tensor, nn

from rnn_hub import RnnClassifierConfig, RnnForSequenceClassification
from rnn_hub.data.collators import pad_sequences
from rnn_hub.data.word_pieces import train_word_pieces

CORPORA = {"sst2": ("validation", "sentence", 872), "aeslc": ("validation", "email_body", 400)}
EMBEDDING, HIDDEN, BATCH, LONGEST = 256, 200, 32, 2000


class Plain(nn.Module):
    """What one writes first."""

    def __init__(self, vocab_size: int):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * HIDDEN, 2)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, 2)."""
        return self.output(self.lstm(self.embedding(ids))[0].mean(dim=1))


@torch.inference_mode()
def in_arrival_order(model: nn.Module, texts: list[list[int]]) -> Tensor:
    """Batches as they come."""
    batches = (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))
    return torch.cat([model(pad_sequences(batch)) for batch in batches])


@torch.inference_mode()
def by_length(model: nn.Module, texts: list[list[int]]) -> Tensor:
    """Batches of like length, as the pipelines make them; the results in the order of the texts."""
    order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
    results = []
    for start in range(0, len(order), BATCH):
        batch = [texts[index] for index in order[start : start + BATCH]]
        mask = pad_sequences([[1] * len(ids) for ids in batch])
        results.append(model(pad_sequences(batch), attention_mask=mask).logits)
    return torch.cat(results)[torch.tensor(order).argsort()]


def main() -> None:
    """Measures each corpus."""
    options = arguments(__doc__, rounds=7).parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    for name, (split, column, count) in CORPORA.items():
        texts = load_dataset(str(MULTI30K.parent / name), split=split)[column][:count]
        tokenizer = train_word_pieces(texts, 8000, model_max_length=LONGEST)
        ids = [row for row in tokenizer(texts, truncation=True)["input_ids"] if row]
        config = RnnClassifierConfig(
            vocab_size=len(tokenizer), embedding_size=EMBEDDING, hidden_size=HIDDEN, pooling="mean"
        )
        ours, plain = RnnForSequenceClassification(config).eval(), Plain(len(tokenizer)).eval()
        contestants = {
            "ours": partial(seconds, partial(by_length, ours, ids), options.clock),
            "plain nn.LSTM in arrival order": partial(seconds, partial(in_arrival_order, plain, ids), options.clock),
        }
        mean = sum(map(len, ids)) / len(ids)
        report(f"{name}, {len(ids)} texts", interleave(contestants, options.rounds), "ours", mean_tokens=mean)


if __name__ == "__main__":
    main()
