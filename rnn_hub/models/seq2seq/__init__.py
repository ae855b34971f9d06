"""The sequence-to-sequence family: an encoder, and a decoder that attends to it."""
