"""Metrics by name: `evaluate` modules that need no network.

`evaluate.load("sacrebleu")` fetches a script from the Hub; these are installed with the library. A
metric is one class in one module here and one line in `METRICS`.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rnn_hub.errors import RnnHubError

if TYPE_CHECKING:
    from rnn_hub.metrics.base import OfflineMetric

METRICS = {
    "accuracy": "rnn_hub.metrics.classification:Accuracy",
    "binary_accuracy": "rnn_hub.metrics.trees:BinaryAccuracy",
    "bleu": "rnn_hub.metrics.translation:Bleu",
    "bleu_lower": "rnn_hub.metrics.translation:BleuLower",
    "bleu_1": "rnn_hub.metrics.captions:Bleu1",
    "bleu_2": "rnn_hub.metrics.captions:Bleu2",
    "bleu_3": "rnn_hub.metrics.captions:Bleu3",
    "bleu_4": "rnn_hub.metrics.captions:Bleu4",
    "caption_chrf": "rnn_hub.metrics.captions:CaptionChrf",
    "cer": "rnn_hub.metrics.speech:Cer",
    "chrf": "rnn_hub.metrics.translation:Chrf",
    "cider_d": "rnn_hub.metrics.captions:CiderD",
    "confusion_matrix": "rnn_hub.metrics.classification:ConfusionMatrix",
    "corr": "rnn_hub.metrics.forecasting:Corr",
    "coverage": "rnn_hub.metrics.forecasting:Coverage",
    "crps": "rnn_hub.metrics.forecasting:Crps",
    "directional_accuracy": "rnn_hub.metrics.forecasting:DirectionalAccuracy",
    "entity_f1": "rnn_hub.metrics.classification:EntityF1",
    "label_set_accuracy": "rnn_hub.metrics.classification:LabelSetAccuracy",
    "label_set_f1": "rnn_hub.metrics.classification:LabelSetF1",
    "macro_f1": "rnn_hub.metrics.classification:MacroF1",
    "mae": "rnn_hub.metrics.forecasting:Mae",
    "mase": "rnn_hub.metrics.forecasting:Mase",
    "mse": "rnn_hub.metrics.forecasting:Mse",
    "music_deviation": "rnn_hub.metrics.music:MusicDeviation",
    "nll": "rnn_hub.metrics.language_modeling:Nll",
    "nll_frame": "rnn_hub.metrics.music:NllFrame",
    "nll_step": "rnn_hub.metrics.music:NllStep",
    "node_accuracy": "rnn_hub.metrics.trees:NodeAccuracy",
    "pearson": "rnn_hub.metrics.regression:Pearson",
    "perplexity": "rnn_hub.metrics.language_modeling:Perplexity",
    "rmse": "rnn_hub.metrics.regression:Rmse",
    "rouge_1": "rnn_hub.metrics.summarization:Rouge1",
    "rouge_2": "rnn_hub.metrics.summarization:Rouge2",
    "rouge_l": "rnn_hub.metrics.captions:RougeL",
    "rouge_l_summary": "rnn_hub.metrics.summarization:RougeLSummary",
    "root_accuracy": "rnn_hub.metrics.trees:RootAccuracy",
    "rse": "rnn_hub.metrics.forecasting:Rse",
    "smape": "rnn_hub.metrics.forecasting:Smape",
    "spearman": "rnn_hub.metrics.regression:Spearman",
    "weighted_quantile_loss": "rnn_hub.metrics.forecasting:WeightedQuantileLoss",
    "wer": "rnn_hub.metrics.speech:Wer",
    "word_alignment": "rnn_hub.metrics.speech:WordAlignment",
}
#: how the names of metrics are written on a card
TITLES = {
    "bleu": "BLEU",
    "bleu_1": "BLEU-1",
    "bleu_2": "BLEU-2",
    "bleu_3": "BLEU-3",
    "bleu_4": "BLEU-4",
    "bleu_lower": "BLEU, lowercased and tokenized",
    "caption_chrf": "chrF",
    "cer": "CER, %",
    "chrf": "chrF",
    "cider_d": "CIDEr-D",
    "motion_accuracy": "motion told rightly, %",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "rouge_l_summary": "ROUGE-L",
    "accuracy": "accuracy, %",
    "macro_f1": "macro F1, %",
    "label_set_accuracy": "texts with exactly the right labels, %",
    "label_set_f1": "macro F1 over labels, %",
    "entity_f1": "entity F1, %",
    "root_accuracy": "accuracy of the root, %",
    "binary_accuracy": "the same, positive or negative, %",
    "node_accuracy": "accuracy of all nodes, %",
    "music_deviation": "largest deviation of a statistic of samples, in standard deviations of the corpus",
    "nll": "nats a token",
    "nll_frame": "nats a frame",
    "nll_step": "nats a sixteenth",
    "pearson": "correlation, %",
    "perplexity": "perplexity",
    "corr": "correlation",
    "coverage": "coverage of the 80 % interval, %",
    "crps": "CRPS",
    "directional_accuracy": "right directions, %",
    "mae": "MAE",
    "mase": "MASE",
    "mse": "MSE",
    "rmse": "RMSE",
    "rse": "RSE",
    "smape": "sMAPE, %",
    "spearman": "correlation of ranks, %",
    "weighted_quantile_loss": "weighted quantile loss",
    "wer": "WER, %",
    "real_time_factor": "real-time factor",
}


BASELINES = {"_last_value": " of the last value", "_seasonal": " of the last season"}


def title(name: str) -> str:
    """How a metric is called on a card; also that of a naive forecast (`mae_last_value`) or of one step (`mae_3`)."""
    for ending, text in BASELINES.items():
        if name.endswith(ending):
            return title(name.removesuffix(ending)) + text
    base, _, step = name.rpartition("_")
    if name not in TITLES and step.isdecimal() and base in TITLES:
        return f"{TITLES[base]}, step {step}"
    return TITLES.get(name, name)


def load_metric(name: str) -> "OfflineMetric":
    """The metric of that name, an `evaluate.Metric`: `.compute(predictions=..., references=...)`.

    Raises:
        RnnHubError: no such metric, listing those that exist.
    """
    if name not in METRICS:
        raise RnnHubError(f"metric {name!r} is unknown; choose from {', '.join(sorted(METRICS))}")
    module, _, class_name = METRICS[name].partition(":")
    return getattr(import_module(module), class_name)()


def compute_metrics(
    names: Sequence[str], predictions: Sequence[Any], references: Sequence[Any], **options: Any
) -> tuple[dict[str, float], str]:
    """Several metrics over the same predictions: ({name: value}, signature).

    Args:
        names: of metrics.
        predictions: one a example.
        references: one a example, or a list of several.
        options: what some metric takes, such as `language="de"`; each gets those it knows.

    Raises:
        RnnHubError: an unknown metric, an option that none of them takes, nothing to score, or
            numbers of predictions and references that differ.
    """
    metrics = {name: load_metric(name) for name in names}
    unknown = set(options).difference(*(metric.options for metric in metrics.values()))
    if unknown:
        raise RnnHubError(f"none of {', '.join(names)} takes {', '.join(sorted(unknown))}")
    if not len(predictions):
        raise RnnHubError("there is nothing to score: no predictions")
    if len(predictions) != len(references):
        raise RnnHubError(f"{len(predictions)} predictions do not match {len(references)} references")
    values, signatures = {}, []
    for name, metric in metrics.items():
        chosen = {key: value for key, value in options.items() if key in metric.options}
        result = metric.compute(predictions=list(predictions), references=list(references), **chosen)
        values[name] = result[name]
        signatures.append(f"{name}: {result['signature']}")
    return values, "; ".join(signatures)
