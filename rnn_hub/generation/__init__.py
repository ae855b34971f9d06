"""The loops behind `generate()`, for what recurrent networks can do better than the loops of transformers.

A recurrent state is small and its rows are independent, so finished sentences leave the batch, beams keep back-pointers
instead of copies of their prefixes, and a step is a function of tokens and state and nothing else. The tokens are those
of transformers' own loops, which remain for every option that these do not know.
"""

from rnn_hub.generation.mixin import RnnGenerationMixin

__all__ = ["RnnGenerationMixin"]
