"""What all pipelines share that sample."""

from __future__ import annotations

from typing import Any

from rnn_hub.errors import RnnHubError


def check_temperature(generation: dict[str, Any]) -> None:
    """Refuse a temperature that nothing can be sampled with.

    Raises:
        RnnHubError: it is not a number above 0.
    """
    temperature = generation.get("temperature")
    if temperature is not None and (isinstance(temperature, bool) or not 0 < temperature < float("inf")):
        raise RnnHubError(
            f"temperature must be above 0, not {temperature!r}; for the likeliest token each time set do_sample=False"
        )
