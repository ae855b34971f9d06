"""A graph run by onnxruntime: tensors in, tensors out, by name."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from rnn_hub.errors import RnnHubError
from rnn_hub.onnx.export import require_packages


class Session:
    """A graph of a file, on the CPU, with as many threads as torch has.

    Raises:
        RnnHubError: onnxruntime is missing, or the file is no graph; the message says which.
    """

    def __init__(self, path: Path):
        require_packages("onnxruntime")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no base class of their own
            reason = " ".join(str(error).split())
            raise RnnHubError(f"{path} is no graph that onnxruntime can run ({reason}): export it again") from error
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.outputs = [value.name for value in self.session.get_outputs()]

    def __call__(self, **inputs: Tensor) -> dict[str, Tensor]:
        """Runs the graph; inputs that it does not have are left out."""
        feed = {name: inputs[name].detach().numpy() for name in self.inputs}
        outputs = self.session.run(None, feed)
        return {name: torch.from_numpy(output) for name, output in zip(self.outputs, outputs, strict=True)}
