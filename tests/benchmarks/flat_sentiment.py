"""What the trees of `rnn-sentiment-trees` are worth: a bidirectional LSTM of its size on the same labels, without them.

It reads each labelled phrase of the training trees as a text of its own. Prints its accuracies on the test sentences,
five classes and positive or negative, as the tree model's card has them.
"""

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import torch
from corpus import DATA, ROOT
from datasets import Dataset, load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from rnn_hub.data.trees import parse_tree
from rnn_hub.metrics import compute_metrics
from rnn_hub.pipelines.text_classification import TextLabelPipeline

LABELS = ("very negative", "negative", "neutral", "positive", "very positive")
RECIPE = (
    "model_cards/rnn-sentiment-en",
    "name=flat",
    "dataset.text=text",
    f"dataset.labels=[{', '.join(LABELS)}]",
    "dataset.long_repeats=1",
    "tokenizer.vocab_size=10000",
    "model.embedding_size=150",
    "model.hidden_size=150",
    "model.pooling=last",
    "model.char_features=null",
    "model.consistency=0.0",
    "model.word_dropout=0.1",
    "model.embedding_dropout=0.3",
    "model.weight_dropout=0.0",
    "model.label_smoothing=0.0",
    "training.learning_rate=0.001",
    "training.num_train_epochs=5",
    "training.per_device_train_batch_size=128",
    "training.ema_decay=0.998",
    "training.weight_decay=0.01",
    "training.eval_strategy=epoch",
    "training.save_strategy=epoch",
    "training.load_best_model_at_end=false",
)


def write_phrases(folder: Path) -> None:
    """Every labelled phrase of the training trees once; of the other splits the whole sentences."""
    for split, trees in load_dataset(str(DATA.parent / "sst_trees")).items():
        rows = {}
        for text in trees["tree"]:
            tree = parse_tree(text, len(LABELS))
            nodes = [(" ".join(words), label) for words, label in zip(tree.phrases(), tree.labels, strict=True)]
            rows |= nodes if split == "train" else nodes[-1:]
        columns = {"text": list(rows), "label": list(rows.values())}
        Dataset.from_dict(columns).to_parquet(str(folder / f"{split}.parquet"))


def main() -> None:
    """Trains unless that is done, and measures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "flat_sentiment", help="where the model is kept")
    given = parser.parse_args()
    data, run = given.runs / "data", given.runs / "model"
    if not (run / "results.json").exists():
        data.mkdir(parents=True, exist_ok=True)
        write_phrases(data)
        options = (*RECIPE, f"dataset.path={data}", f"training.output_dir={run}", "training.resume=true")
        subprocess.run([sys.executable, "-m", "rnn_hub", "train", *options], cwd=ROOT, check=True)
    model = AutoModelForSequenceClassification.from_pretrained(run).eval()
    pipe = TextLabelPipeline(model=model, tokenizer=AutoTokenizer.from_pretrained(run))
    for split in ("validation", "test"):
        rows = load_dataset(str(data))[split]
        with torch.inference_mode():
            found = pipe(list(rows["text"]), top_k=None)
        scores = [{record["label"]: record["score"] for record in records} for records in found]
        predictions = [[[row[label] for label in LABELS]] for row in scores]
        references = [[label] for label in rows["label"]]
        values, signature = compute_metrics(("root_accuracy", "binary_accuracy"), predictions, references)
        print(json.dumps({"split": split, **values, "parameters": model.num_parameters(), "signature": signature}))


if __name__ == "__main__":
    main()
