"""Speech to text by a decoder that attends to the frames, with or without a CTC head on the encoder."""
