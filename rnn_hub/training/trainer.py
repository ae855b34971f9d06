"""RnnTrainer: transformers' Seq2SeqTrainer with batches by length, safe checkpoints, the task's metric."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from accelerate.utils import DynamoBackend
from torch import nn
from torch.utils.data import DataLoader, Subset
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    ProgressCallback,
    Seq2SeqTrainer,
)
from transformers.trainer_utils import EvalLoopOutput

from rnn_hub.data.row_stream import RowStream
from rnn_hub.data.streams import TokenStreams
from rnn_hub.errors import RnnHubError
from rnn_hub.hub.push import check_name, hub_errors, push_model
from rnn_hub.layers.crf import LinearChainCrf
from rnn_hub.layers.decoder import AttentionDecoder
from rnn_hub.layers.loss import IGNORED
from rnn_hub.layers.stack import RnnStack
from rnn_hub.training.arguments import TrainingArguments
from rnn_hub.training.carried import CarriedState
from rnn_hub.training.checkpoints import remove_old, seal
from rnn_hub.training.ema import ExponentialMovingAverage
from rnn_hub.training.loader import EpochDataLoader, StreamLoader, build_train_loader
from rnn_hub.training.progress import Progress
from rnn_hub.training.updates import save_updates

STREAM_FILE = "stream.json"
LOOPS = {RnnStack: "forward", AttentionDecoder: "forward", LinearChainCrf: "log_likelihood"}
"""What loops over time in training, and in which method."""


class RnnTrainer(Seq2SeqTrainer):
    """Trains a model of any task.

    The loss is the mean over all target tokens of a step, over accumulated batches and processes alike, so
    two processes do what one does with two accumulated batches.

    Args:
        model: a model whose ``forward`` takes ``labels`` and ``num_items_in_batch``.
        args: the arguments.
        rows: training rows (a sequence of dictionaries or a `RowStream`), or a text in streams, over which the state is
            carried.
        lengths: length of each row (or pair of lengths), for the batches; of a stream what gives those of some rows.
        collator, eval_collator: from rows to a batch, in training and in evaluation.
        eval_rows: validation rows, of which the loss is computed (of a text the metrics are all there is).
        score: computes the task's metrics of the present weights, ``{"bleu": 30.1}``; called on every
            process.
        processing_class: saved with each checkpoint.
        model_folder: the folder of the finished model, which `push_to_hub` uploads; None for a trainer that makes none.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        rows: Any,
        lengths: list | Callable,
        collator: Callable[[list[dict]], dict],
        eval_collator: Callable[[list[dict]], dict] | None = None,
        eval_rows: Any = None,
        score: Callable[[PreTrainedModel], dict[str, float]] | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        callbacks: Sequence = (),
        model_folder: Path | None = None,
    ) -> None:
        self.model_folder = model_folder
        self.lengths = lengths
        self.carried = CarriedState(args.process_index) if isinstance(rows, TokenStreams) else None
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
        backend = self.accelerator.state.dynamo_plugin.backend
        if backend != DynamoBackend.NO:
            _prepare_to_compile(self.model, backend)
        self.progress = Progress()
        self.add_callback(self.progress)
        self.ema = None
        if args.ema_decay:
            self.ema = ExponentialMovingAverage(self.model, args.ema_decay)
            self.add_callback(self.ema)

    def get_train_dataloader(self) -> EpochDataLoader | StreamLoader:
        """The batches of this process; the sampler shares them out, so accelerate must not do it again."""
        if isinstance(self.train_dataset, RowStream):
            return StreamLoader(self.train_dataset, self.lengths, self.train_collator, self.args)
        loader = build_train_loader(self.train_dataset, self.lengths, self.train_collator, self.args)
        self._mean_tokens = getattr(loader.batch_sampler, "mean_tokens", None)
        return loader

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        """This process's share of the validation rows, each of which has one process; shares may differ by a row."""
        rows = self.eval_dataset if eval_dataset is None else eval_dataset
        own = Subset(rows, range(self.args.process_index, len(rows), self.args.world_size))
        return DataLoader(own, self.args.per_device_eval_batch_size, collate_fn=self.data_collator)

    def num_examples(self, dataloader: Any) -> int:
        """Number of rows behind a loader."""
        return len(dataloader.dataset)

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss of a batch; of a text in streams, from the state that the batch before left.

        It is then divided by the mean size of a window, so that a token weighs the same in a long window as in a short
        one (Merity et al. 2017, section 4.1, scale the learning rate).
        """
        if self.carried is not None:
            inputs = {**inputs, "past_key_values": self.carried.next(inputs["continues"]), "use_cache": True}
            del inputs["continues"]
            num_items_in_batch = self._mean_tokens
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if isinstance(self.train_dataset, RowStream) and self.model.training and not real_labels(inputs):
            loss = 0 * loss  # of a process that has no more rows: whatever the loss makes of such labels, and penalties
        return loss

    def evaluation_loop(
        self, dataloader: DataLoader, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any
    ) -> EvalLoopOutput:
        """Compute the validation loss, then the task's metrics of what the model generates."""
        average_buffers(self.model)
        metrics: dict[str, float] = {}
        devices = [self.args.device] if self.args.device.type == "cuda" else []
        # Training goes on with the random numbers that it would have without an evaluation, as after a resumption.
        with torch.random.fork_rng(devices), self.ema.applied() if self.ema else nullcontext():
            self.model.eval()
            if self.carried is None:
                metrics["loss"] = self._validation_loss(dataloader)
            if self.score is not None:
                metrics |= self.score(self.model)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in metrics.items()}
        return EvalLoopOutput(None, None, metrics=metrics, num_samples=len(self.eval_dataset))

    @torch.no_grad()
    def _validation_loss(self, dataloader: DataLoader) -> float:
        """The mean over all labels of all processes; without labels to count, that over rows."""
        totals = torch.zeros(2, dtype=torch.float64)
        for batch in dataloader:
            inputs = self._prepare_inputs(batch)
            labels = inputs.get("labels")
            if labels is None:
                count = len(next(iter(inputs.values())))
                loss = self.model(**inputs).loss.item() * count
            else:
                count = (labels != IGNORED).sum().item()
                loss = self.model(**inputs, num_items_in_batch=1).loss.item()
            totals += torch.tensor([loss, count], dtype=torch.float64)
        totals = totals.to(self.args.device)
        if self.args.world_size > 1:
            dist.all_reduce(totals)
        return (totals[0] / totals[1]).item()

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save as transformers does, declare the checkpoint whole, and only then delete old ones."""
        average_buffers(self.model)
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        folder = Path(self.args.output_dir)
        if self.args.should_save:
            save_updates(self._checkpoint_folder, self.args)
        if self.ema and self.args.should_save:
            self.ema.save(self._checkpoint_folder)
        if self.carried:
            self.carried.save(self._checkpoint_folder)
        if isinstance(self.train_dataset, RowStream) and self.args.should_save:
            place = {"epoch": self.train_dataset.epoch, "batches": self.train_dataset.batches}
            (self._checkpoint_folder / STREAM_FILE).write_text(json.dumps(place), encoding="utf-8")
        if self.args.world_size > 1:
            dist.barrier()
        if self.args.should_save:
            seal(self._checkpoint_folder)
            best = self.state.best_model_checkpoint
            remove_old(folder, limit, protected=[Path(best)] if best else [])

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Make the repository `args.hub_model_id`, before any training where `args.push_to_hub` is on.

        Raises:
            RnnHubError: whatever the Hub answers, with the remedy.
        """
        check_name(self.args.hub_model_id or "")
        with hub_errors(self.args.hub_model_id):
            super().init_hf_repo(token, private)

    def push_to_hub(
        self,
        commit_message: str | None = None,
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> str | None:
        """Upload the model as `rnn-hub push` does, and wait for it; return its address (on the first process).

        That is the run's finished folder; of a trainer without one the present weights, the processor and the card that
        transformers writes (of ``kwargs``), in `args.output_dir`.

        Raises:
            RnnHubError: as `rnn_hub.hub.push.push_model`.
        """
        folder = self.model_folder
        if folder is None:
            folder = Path(self.args.output_dir)
            self.save_model(_internal_call=True)
        if not self.is_world_process_zero():
            return None
        if self.model_folder is None:
            self.create_model_card(**kwargs)
        if private is None:
            private = self.args.hub_private_repo
        token, revision = token or self.args.hub_token, revision or self.args.hub_revision
        return push_model(folder, self.args.hub_model_id or "", private, token, commit_message, revision)

    @property
    def _checkpoint_folder(self) -> Path:
        return Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Load the weights, their moving averages, the carried state and the place in a stream of a checkpoint."""
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self.ema:
            self.ema.load(Path(resume_from_checkpoint))
        if self.carried:
            self.carried.load(Path(resume_from_checkpoint), str(self.args.device))
        if isinstance(self.train_dataset, RowStream):
            place = json.loads((Path(resume_from_checkpoint) / STREAM_FILE).read_text(encoding="utf-8"))
            self.train_dataset.epoch, self.train_dataset.batches = place["epoch"], place["batches"]


def real_labels(inputs: dict[str, Any]) -> bool:
    """Whether a batch of a stream counts: one that only fills up has all labels ignored, of whatever kind they are."""
    return bool((inputs["labels"] != IGNORED).any())


def _prepare_to_compile(model: nn.Module, backend: DynamoBackend) -> None:
    """Let `torch.compile` leave alone what loops over time: it would unroll the loop and compile each length anew.

    Raises:
        RnnHubError: the backend writes C++, and there is no compiler for it.
    """
    compiler = os.environ.get("CXX", "g++")
    if backend == DynamoBackend.INDUCTOR and shutil.which(compiler) is None:
        raise RnnHubError(
            f"torch_compile needs a C++ compiler, and there is no {compiler}: install one (apt-get install g++), "
            "name it in the variable CXX, or leave torch_compile out"
        )
    for module in model.modules():
        for kind, name in LOOPS.items():
            if isinstance(module, kind):
                setattr(module, name, torch.compiler.disable(getattr(module, name)))


@torch.no_grad()
def average_buffers(model: nn.Module) -> None:
    """Give all processes the mean of their running statistics (batch normalization); each has seen other batches."""
    if dist.is_initialized() and dist.get_world_size() > 1:
        for buffer in model.buffers():
            if buffer.is_floating_point():
                dist.all_reduce(buffer.div_(dist.get_world_size()))
