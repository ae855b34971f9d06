"""The family of frames: which of many things, such as the notes of a piano, sound together at the next step."""
