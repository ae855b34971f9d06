"""The speech family: audio or its features to characters, by connectionist temporal classification."""
