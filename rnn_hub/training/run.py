"""One run of a recipe, from the data to a model folder that can be published."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from rnn_hub.data.row_stream import RowStream
from rnn_hub.errors import RnnHubError
from rnn_hub.tasks.base import require_split
from rnn_hub.training.arguments import TrainingArguments, build_arguments
from rnn_hub.training.averaging import average_weights, select_checkpoints
from rnn_hub.training.checkpoints import list_checkpoints, set_aside_incomplete, write_atomically
from rnn_hub.training.ema import EMA_FILE
from rnn_hub.training.folder import RESULTS, load_weights, save_folder
from rnn_hub.training.recipes import Recipe, parse_yaml
from rnn_hub.training.trainer import RnnTrainer
from rnn_hub.training.updates import check_updates

logger = logging.getLogger(__name__)

RECIPE = "recipe.yaml"
#: sections that a resumed run must share with the one it continues
_FIXED = ("task", "seed", "dataset", "tokenizer", "model")


def train(recipe: Recipe) -> dict[str, Any]:
    """Run a recipe and return its results, which are also in ``results.json`` of the run's folder.

    The folder then holds the whole model: config, generation config, weights in half precision, tokenizer,
    recipe, results. Checkpoints lie in its ``checkpoints`` folder.

    Raises:
        RnnHubError: the folder holds a finished run, or an unfinished one and ``training.resume`` is off, or
            one of another recipe or whose updates were made of other batches; or the data lack what the recipe names;
            or the Hub refuses the finished model, which then is in its folder.
    """
    output_dir = recipe.output_dir
    arguments = build_arguments(
        recipe.training, output_dir, recipe.seed, recipe.task.main_metric, recipe.task.greater_is_better
    )
    arguments.label_names = list(recipe.task.label_names)
    with arguments.main_process_first(desc="preparing the run folder"):
        if arguments.process_index == 0:
            _open_folder(recipe, arguments)
    stream = _stream(recipe, arguments) if recipe.dataset.streaming else None
    rows = stream.sample if stream else recipe.task.load(recipe.dataset, recipe.dataset.train)
    validation = None
    if arguments.eval_strategy != "no":
        validation = recipe.task.load(recipe.dataset, require_split(recipe.dataset, "validation"))
    with arguments.main_process_first(desc="preparing the processor"):
        processor = _processor(recipe, rows)
    set_seed(recipe.seed)
    torch.set_flush_denormal(True)  # denormal gradients take a CPU ten times as long and change nothing
    fields = {**recipe.task.model_fields(rows, recipe.dataset), **recipe.model}
    model = recipe.task.build_model(fields, processor, recipe.generation)
    trainer = _trainer(recipe, arguments, model, processor, rows, validation, stream)
    checkpoints = list_checkpoints(Path(arguments.output_dir))
    _log_start(recipe, model, rows, trainer, checkpoints)
    set_seed(recipe.seed + arguments.process_index)  # the same weights, but each process has a dropout of its own
    with float32_matmul_precision(arguments.matmul_precision):
        trainer.train(resume_from_checkpoint=str(checkpoints[-1]) if checkpoints else None)
    seconds = trainer.progress.seconds
    if arguments.world_size > 1:
        dist.barrier()
    load_weights(model, _final_weights(arguments))
    results = _results(recipe, trainer, validation, processor, seconds)
    if arguments.process_index == 0:
        save_folder(output_dir, model, processor, recipe, results)
    if arguments.push_to_hub:
        _publish(trainer, output_dir)
    if arguments.world_size > 1:
        dist.barrier()
    return results


def _publish(trainer: RnnTrainer, folder: Path) -> None:
    """Push the finished model; where the Hub refuses, say where it is and how to push it later."""
    try:
        trainer.push_to_hub()
    except RnnHubError as error:
        later = f"rnn-hub push {folder} {trainer.args.hub_model_id}"
        raise RnnHubError(f"{error}; the finished model is in {folder}, and later: {later}") from error


@contextmanager
def float32_matmul_precision(precision: str) -> Iterator[None]:
    """Within this context float32 matrices are multiplied with this precision, after it as before."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _open_folder(recipe: Recipe, arguments: TrainingArguments) -> None:
    """Check what the run's folder holds, set half-written checkpoints aside, write the recipe."""
    folder, checkpoints = recipe.output_dir, Path(arguments.output_dir)
    if (folder / RESULTS).exists():
        raise RnnHubError(f"{folder} holds a finished run: choose another training.output_dir, or remove that folder")
    set_aside_incomplete(checkpoints)
    whole = list_checkpoints(checkpoints)
    if whole and not arguments.resume:
        raise RnnHubError(
            f"{folder} holds an unfinished run ({whole[-1].name}): continue it with training.resume=true, "
            "or choose another training.output_dir"
        )
    if whole:
        former = parse_yaml((folder / RECIPE).read_text(encoding="utf-8"))
        different = [key for key in _FIXED if former.get(key) != recipe.source.get(key)]
        if different:
            raise RnnHubError(
                f"the run in {folder} was started with another {different[0]!r} section: "
                "resume with the same recipe, or choose another training.output_dir"
            )
        check_updates(whole[-1], arguments, recipe.dataset.streaming or not recipe.task.rows_are_independent)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / RECIPE, recipe.to_yaml())


def _stream(recipe: Recipe, arguments: TrainingArguments) -> RowStream:
    """The training split as a stream, whose place is in the checkpoints."""
    if arguments.max_steps < 1:
        raise RnnHubError("the end of a stream is unknown: dataset.streaming needs training.max_steps")
    arguments.ignore_data_skip = True  # the stream itself goes on where it was
    return recipe.task.stream(recipe.dataset, recipe.dataset.train, arguments.order_seed)


def _processor(recipe: Recipe, rows: Dataset) -> PreTrainedTokenizerBase:
    """The tokenizer or processor of the run's folder; made from the rows first where there is none."""
    folder = recipe.output_dir
    marker = folder / recipe.task.processor_file
    if not marker.is_file():
        logger.info("making the processor from %d rows", len(rows))
        processor = recipe.task.build_processor(rows, recipe.dataset, recipe.tokenizer)
        partial = folder / f".tokenizer.{os.getpid()}"
        processor.save_pretrained(partial)
        for file in sorted(partial.iterdir(), key=lambda file: file.name == marker.name):
            os.replace(file, folder / file.name)
        partial.rmdir()
    return recipe.task.load_processor(folder)


def _trainer(
    recipe: Recipe,
    arguments: TrainingArguments,
    model: PreTrainedModel,
    processor: PreTrainedTokenizerBase,
    rows: Dataset,
    validation: Dataset | None,
    stream: RowStream | None,
) -> RnnTrainer:
    task = recipe.task

    def lengths(rows: Dataset) -> list:
        return task.lengths(rows, processor, recipe.dataset)

    def collator(training: bool) -> Callable:
        return task.build_collator(processor, recipe.dataset, recipe.tokenizer, training)

    score = None
    if validation is not None and arguments.predict_with_generate:
        few = validation.select(range(min(arguments.eval_examples or len(validation), len(validation))))
        options = {"num_beams": arguments.generation_num_beams or 1}
        if arguments.generation_max_length:
            options["max_length"] = arguments.generation_max_length

        def score(model: PreTrainedModel) -> dict[str, float]:
            return evaluate_rows(recipe, model, processor, few, arguments.per_device_eval_batch_size, **options)[0]

    return RnnTrainer(
        model,
        arguments,
        rows=stream or task.examples(rows, processor, recipe.dataset),
        lengths=lengths if stream else lengths(rows),
        collator=collator(training=True),
        eval_collator=collator(training=False),
        eval_rows=validation,
        score=score,
        processing_class=processor,
        model_folder=recipe.output_dir,
    )


def evaluate_rows(
    recipe: Recipe,
    model: PreTrainedModel,
    processor: PreTrainedTokenizerBase,
    rows: Dataset,
    batch_size: int,
    **generation: Any,
) -> tuple[dict[str, float], str]:
    """Predict and score rows, each process its share; all of them get the metrics and the signature."""
    task = recipe.task
    inputs = task.inputs(rows, recipe.dataset)
    distributed = dist.is_initialized() and dist.get_world_size() > 1
    rank, world = (dist.get_rank(), dist.get_world_size()) if distributed else (0, 1)
    if not task.rows_are_independent:
        rank, world = 0, 1  # each process reads all
    own = task.predict(model, processor, inputs[rank::world], batch_size=batch_size, **generation)
    shares = [own]
    if world > 1:
        shares = [None] * world
        dist.all_gather_object(shares, own)
    predictions: list = [None] * len(inputs)
    for rank, share in enumerate(shares):
        predictions[rank::world] = share
    scores = task.score(predictions, task.references(rows, recipe.dataset), recipe.dataset)
    return scores.values, scores.signature


def _final_weights(arguments: TrainingArguments) -> dict[str, torch.Tensor]:
    """The weights that the run ends with: averaged, moving averages, the best or the last."""
    folder = Path(arguments.output_dir)
    name = EMA_FILE if arguments.ema_decay else "model.safetensors"
    metric = arguments.metric_for_best_model or "loss"
    metric = metric if metric.startswith("eval_") else f"eval_{metric}"
    best = arguments.load_best_model_at_end and not arguments.average_checkpoints
    chosen = select_checkpoints(
        folder,
        max(arguments.average_checkpoints, 1),
        last=arguments.average_last and not best,
        metric=metric,
        greater_is_better=bool(arguments.greater_is_better),
    )
    logger.info("final weights: %s of %s", name, ", ".join(path.name for path in chosen))
    return average_weights([path / name for path in chosen])


def _results(
    recipe: Recipe,
    trainer: RnnTrainer,
    validation: Dataset | None,
    processor: PreTrainedTokenizerBase,
    seconds: float,
) -> dict[str, Any]:
    """What the model card tells of the training; the metrics are those of the final weights on validation."""
    arguments, state = trainer.args, trainer.state
    results: dict[str, Any] = {
        "name": recipe.name,
        "task": recipe.task.name,
        "parameters": trainer.model.num_parameters(),
        "training": {
            **_amount(trainer),
            "steps": state.global_step,
            "processes": arguments.world_size,
            "device": arguments.device.type,
            "seconds": round(seconds, 1),
        },
        "evaluations": [],
    }
    if validation is not None:
        batch_size = arguments.per_device_eval_batch_size
        started = time.perf_counter()
        trainer.model.eval()
        values, signature = evaluate_rows(recipe, trainer.model, processor, validation, batch_size)
        results["evaluations"].append(
            {
                "dataset": recipe.source["dataset"]["path"],
                "split": recipe.dataset.validation,
                "examples": len(validation),
                "seconds": round(time.perf_counter() - started, 2),
                "metrics": values,
                "signature": signature,
            }
        )
    return results


def _amount(trainer: RnnTrainer) -> dict[str, Any]:
    """How much the model has learned from; the rows of a stream are not counted."""
    rows = trainer.train_dataset
    if isinstance(rows, RowStream):
        return {"examples": None, "epochs": rows.epoch}
    return {"examples": len(rows), "epochs": round(trainer.state.epoch or 0, 2)}


def _log_start(
    recipe: Recipe, model: PreTrainedModel, rows: Dataset, trainer: RnnTrainer, checkpoints: list[Path]
) -> None:
    stream = isinstance(trainer.train_dataset, RowStream)
    logger.info(
        "%s: %s, %s parameters, %s%s",
        recipe.name,
        type(model).__name__,
        f"{model.num_parameters():,}",
        "a stream" if stream else f"{len(rows):,} examples, {len(trainer.get_train_dataloader())} batches an epoch",
        f", continuing {checkpoints[-1].name}" if checkpoints else "",
    )


def load_results(folder: Path) -> dict[str, Any]:
    """Read ``results.json`` of a model folder; an absent file is an empty dictionary."""
    path = folder / RESULTS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
