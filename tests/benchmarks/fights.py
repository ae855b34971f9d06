"""Fights in surveillance clips: what pooling, recurrence and frame differences are worth; not part of `rnn-hub bench`.

Trains the released recipe's network, and others beside it, on kept features: three seeds, measured on the official test
split, and five folds over all clips. The data name no source film, so clips whose pictures are alike count as one film
and stay in one fold.
"""

import argparse
import json
import math
from statistics import mean, pstdev

import torch
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor

from rnn_hub import RnnForVideoClassification, RnnVisionConfig
from rnn_hub.metrics import compute_metrics
from rnn_hub.models.backbone.loading import load_backbone
from rnn_hub.models.vision.features import ClipReader
from rnn_hub.models.vision.frame_encoder import FrameEncoder
from rnn_hub.models.vision.video_processing_vision import RnnVideoProcessor
from rnn_hub.training.recipes import Recipe, load_recipe

SEEDS, FOLDS = 3, 5
ALIKE = 0.9
READERS = {
    "CNN with mean pooling": {"num_layers": 0, "pooling": "mean"},
    "CNN + LSTM": {"cell_type": "lstm", "pooling": "last", "bidirectional": False},
    "CNN + BiLSTM + attention": {"cell_type": "lstm", "pooling": "attention", "bidirectional": True},
}
INPUTS = {
    "frames": ["frames"],
    "differences": ["feature_differences"],
    "changes": ["feature_changes"],
    "frames and changes": ["frames", "feature_changes"],
}


def read_clips(recipe: Recipe) -> tuple[list[str], list[Tensor], Tensor, list[str]]:
    """All clips and their features, their labels (1 is a fight) and their splits."""
    task, dataset = recipe.task, recipe.dataset
    backbone, _ = load_backbone(recipe.model["backbone"])
    encoder = FrameEncoder(RnnVisionConfig(backbone=backbone.config.to_dict()), backbone)
    read = ClipReader(task.build_processor(None, dataset, recipe.tokenizer), encoder)
    videos, labels, splits = [], [], []
    for split in filter(None, (dataset.train, dataset.validation, dataset.test)):
        rows = task.load(dataset, split)
        videos += task.inputs(rows, dataset)
        labels += [int(label == "fight") for label in task.references(rows, dataset)]
        splits += [split] * len(rows)
    clips = [read(video) for video in videos]
    return videos, clips, torch.tensor(labels), splits


def films(videos: list[str]) -> list[int]:
    """A number for each clip's film: clips are of one whose median pictures, 32 x 24, correlate above `ALIKE`."""
    read = ClipReader(RnnVideoProcessor(size={"height": 24, "width": 32}, num_frames=4))
    pictures = torch.stack([read(video).float().median(dim=0).values.flatten() for video in videos])
    alike = torch.corrcoef(pictures) > ALIKE
    film = list(range(len(videos)))
    for one, two in alike.nonzero().tolist():
        film = [film[one] if number == film[two] else number for number in film]
    return film


def batch(clips: list[Tensor], rows: list[int]) -> dict[str, Tensor]:
    """Some clips as a padded batch."""
    lengths = torch.tensor([len(clips[row]) for row in rows])
    features = torch.nn.utils.rnn.pad_sequence([clips[row] for row in rows], batch_first=True)
    return {"features": features, "attention_mask": torch.arange(features.shape[1]) < lengths[:, None]}


def fit(
    recipe: Recipe, options: dict, clips: list[Tensor], labels: Tensor, rows: list[int], seed: int
) -> torch.nn.Module:
    """A network trained on some clips as the recipe says: a cosine schedule, a moving average of the weights."""
    torch.manual_seed(seed)
    section = {name: value for name, value in recipe.model.items() if name not in ("backbone", "model_type")}
    config = RnnVisionConfig(**{**section, "input_size": clips[0].shape[1], "num_labels": 2, **options})
    model, training = RnnForVideoClassification(config).train(), recipe.training
    rate, size, epochs = (
        training["learning_rate"],
        training["per_device_train_batch_size"],
        training["num_train_epochs"],
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=training["weight_decay"])
    steps = epochs * math.ceil(len(rows) / size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
    average, step = {name: part.detach().clone() for name, part in model.named_parameters()}, 0
    for _ in range(epochs):
        for chosen in torch.randperm(len(rows)).split(size):
            chosen = [rows[place] for place in chosen.tolist()]
            optimizer.zero_grad()
            model(**batch(clips, chosen), labels=labels[chosen]).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), training["max_grad_norm"])
            optimizer.step()
            schedule.step()
            step += 1
            for name, part in model.named_parameters():
                average[name].lerp_(part.detach(), 1 - min(training["ema_decay"], (1 + step) / (10 + step)))
    model.load_state_dict(average, strict=False)  # beside the statistics of the normalization
    return model.eval()


@torch.no_grad()
def measure(model: torch.nn.Module, clips: list[Tensor], labels: Tensor, rows: list[int]) -> dict[str, float]:
    """Accuracy and macro F1 of some clips."""
    found = model(**batch(clips, rows)).logits.argmax(dim=-1)
    named = [["no", "fight"][label] for label in found], [["no", "fight"][label] for label in labels[rows]]
    return compute_metrics(("accuracy", "macro_f1"), *named)[0]


def summary(results: list[dict[str, float]]) -> dict[str, float]:
    """Means, and the standard deviation of the accuracies."""
    accuracies = [result["accuracy"] for result in results]
    return {
        "accuracy": mean(accuracies),
        "deviation": pstdev(accuracies),
        "macro_f1": mean(result["macro_f1"] for result in results),
    }


def main() -> None:
    """Prints a row a network, then the folds, and all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", help="what load_dataset takes")
    parser.add_argument("--recipe", default="model_cards/rnn-video-fights")
    parser.add_argument("--only-recipe", action="store_true", help="leave the other networks out")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    recipe = load_recipe(options.recipe, [f"dataset.path={options.dataset}"])
    videos, clips, labels, splits = read_clips(recipe)
    film = films(videos)
    print(f"{len(clips)} clips of {len(set(film))} films")
    train = [row for row, split in enumerate(splits) if split != recipe.dataset.test]
    test = [row for row, split in enumerate(splits) if split == recipe.dataset.test]
    networks = {"the recipe": {}}
    for reader, parts in {} if options.only_recipe else READERS.items():
        networks |= {f"{reader}, {name}": {**parts, "frame_inputs": inputs} for name, inputs in INPUTS.items()}
    found = {}
    for name, parts in networks.items():
        runs = [measure(fit(recipe, parts, clips, labels, train, seed), clips, labels, test) for seed in range(SEEDS)]
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(labels, labels, film)
        crossed = [
            measure(fit(recipe, parts, clips, labels, list(map(int, rows)), 0), clips, labels, list(map(int, left)))
            for rows, left in folds
        ]
        found[name] = {"test": summary(runs), "folds": summary(crossed)}
        line = (
            f"{part}: {value['accuracy']:.1f} ± {value['deviation']:.1f}, F1 {value['macro_f1']:.1f}"
            for part, value in found[name].items()
        )
        print(f"{name:45} {'; '.join(line)}", flush=True)
    print(json.dumps({"films": len(set(film)), "networks": found}))


if __name__ == "__main__":
    main()
