"""RnnTrainer: transformers' Seq2SeqTrainer with batches by length, safe checkpoints, the task's metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import nn
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    ProgressCallback,
    Seq2SeqTrainer,
)
from transformers.trainer_utils import EvalLoopOutput

from rnn_hub.training.arguments import TrainingArguments
from rnn_hub.training.checkpoints import remove_old, seal
from rnn_hub.training.ema import ExponentialMovingAverage
from rnn_hub.training.loader import EpochDataLoader, build_train_loader
from rnn_hub.training.progress import Progress


class RnnTrainer(Seq2SeqTrainer):
    """Trains a model of any task.

    The loss is the mean over all target tokens of a step, over accumulated batches and processes alike, so
    two processes do what one does with two accumulated batches.

    Args:
        model: a model whose ``forward`` takes ``labels`` and ``num_items_in_batch``.
        args: the arguments.
        rows: training rows (a sequence of dictionaries).
        lengths: length of each row (or pair of lengths), for the batches.
        collator, eval_collator: from rows to a batch, in training and in evaluation.
        eval_rows: validation rows, of which the loss is computed.
        score: computes the task's metrics of the present weights, ``{"bleu": 30.1}``; called on every
            process.
        processing_class: saved with each checkpoint.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        rows: Any,
        lengths: list,
        collator: Callable[[list[dict]], dict],
        eval_collator: Callable[[list[dict]], dict] | None = None,
        eval_rows: Any = None,
        score: Callable[[PreTrainedModel], dict[str, float]] | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        callbacks: Sequence = (),
    ) -> None:
        self.lengths = lengths
        self.score = score
        self.train_collator = collator
        callbacks = list(callbacks)
        if args.early_stopping_patience:
            callbacks.append(EarlyStoppingCallback(args.early_stopping_patience))
        super().__init__(
            model=model,
            args=args,
            train_dataset=rows,
            eval_dataset=eval_rows,
            data_collator=eval_collator or collator,
            processing_class=processing_class,
            callbacks=callbacks,
        )
        for shown in (ProgressCallback, PrinterCallback):
            self.remove_callback(shown)
        self.add_callback(Progress())
        self.ema = None
        if args.ema_decay:
            self.ema = ExponentialMovingAverage(self.model, args.ema_decay)
            self.add_callback(self.ema)

    def get_train_dataloader(self) -> EpochDataLoader:
        """The batches of this process; the sampler shares them out, so accelerate must not do it again."""
        return build_train_loader(self.train_dataset, self.lengths, self.train_collator, self.args)

    def num_examples(self, dataloader: Any) -> int:
        """Number of rows behind a loader."""
        return len(dataloader.dataset)

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> EvalLoopOutput:
        """Compute the validation loss, then the task's metrics of what the model generates."""
        kwargs["prediction_loss_only"] = True
        with self.ema.applied() if self.ema else nullcontext():
            output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
            if self.score is not None:
                self.model.eval()
                scores = self.score(self.model)
                output.metrics.update({f"{metric_key_prefix}_{name}": value for name, value in scores.items()})
        return output

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save as transformers does, declare the checkpoint whole, and only then delete old ones."""
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        folder = Path(self.args.output_dir)
        if self.ema and self.args.should_save:
            self.ema.save(self._checkpoint_folder)
        if self.args.world_size > 1:
            dist.barrier()
        if self.args.should_save:
            seal(self._checkpoint_folder)
            best = self.state.best_model_checkpoint
            remove_old(folder, limit, protected=[Path(best)] if best else [])

    @property
    def _checkpoint_folder(self) -> Path:
        return Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Load the weights, and their moving averages, of a checkpoint."""
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self.ema:
            self.ema.load(Path(resume_from_checkpoint))
