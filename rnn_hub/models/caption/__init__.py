"""The captioning family: a vision backbone, and the seq2seq family's decoder that looks at its regions."""
