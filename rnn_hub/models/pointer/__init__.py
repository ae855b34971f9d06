"""The pointer-generator family: an encoder-decoder that also copies tokens of its source."""
