"""The causal language model family: each token from those before it, and perhaps from a condition."""
