"""Recurrent networks as first-class citizens of the Hugging Face ecosystem.

After `import rnn_hub` the Auto classes of transformers load our models. Public names are imported when they are used.
"""

from typing import Any

from rnn_hub.registry import FAMILIES, load, register

__version__ = "0.1.0"

_PUBLIC = {
    "RnnCache": "rnn_hub.cache:RnnCache",
    "RnnHubError": "rnn_hub.errors:RnnHubError",
    "RnnStack": "rnn_hub.layers.stack:RnnStack",
    "dynamic_rnn": "rnn_hub.layers.unroll:dynamic_rnn",
    "graph_rnn": "rnn_hub.layers.graph:graph_rnn",
    "load_metric": "rnn_hub.metrics:load_metric",
    "pipeline": "rnn_hub.pipelines:pipeline",
    "static_rnn": "rnn_hub.layers.unroll:static_rnn",
}
for _family in FAMILIES:
    for _path in (_family.config, *_family.models.values()):
        _PUBLIC[_path.rpartition(":")[2]] = _path

__all__ = sorted(_PUBLIC)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return load(_PUBLIC[name])


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


register()
