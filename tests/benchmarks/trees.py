"""Training on a batch of trees as one graph beside one tree at a time, with the released model of trees.

Forward and backward over sentences of the Stanford Sentiment Treebank; planning the graph is part of the time.
"""

from functools import partial

import torch
import yaml
from corpus import DATA, ROOT
from datasets import load_dataset
from timing import arguments, interleave, report, seconds

from rnn_hub.data.tokenization import train_tokenizer
from rnn_hub.data.trees import TreeCollator, parse_tree
from rnn_hub.layers.graph import _plan
from rnn_hub.models.tree.configuration_tree import RnnTreeConfig
from rnn_hub.models.tree.modeling_tree import RnnForTreeClassification


def main() -> None:
    """Measures batches of 25 and of 100 trees."""
    given = arguments(__doc__, rounds=7).parse_args()
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)
    recipe = yaml.safe_load((ROOT / "model_cards" / "rnn-sentiment-trees" / "recipe.yaml").read_text())
    texts = load_dataset(str(DATA.parent / "sst_trees"))["train"]["tree"][:400]
    trees = [parse_tree(text) for text in texts]
    tokenizer = train_tokenizer([" ".join(tree.phrases()[-1]) for tree in trees], 10000, "word", eos="none")
    config = RnnTreeConfig(vocab_size=10000, num_labels=5, **recipe["model"])
    model = RnnForTreeClassification(config).train()
    collate = TreeCollator(tokenizer)

    def train(size: int, chosen: list) -> None:
        for start in range(0, len(chosen), size):
            model(**collate.graph(chosen[start : start + size])).loss.backward()

    for size in (25, 100):
        chosen = trees[:size]
        work = {"one at a time": partial(train, 1, chosen), "together": partial(train, size, chosen)}
        graph = collate.graph(chosen)
        work["planning of it"] = partial(_plan, graph["edges"], len(graph["input_ids"]), 2)
        sides = {name: partial(seconds, one, given.clock) for name, one in work.items()}
        report(f"training, {size} trees", interleave(sides, given.rounds), "together")


if __name__ == "__main__":
    main()
