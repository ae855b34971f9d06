"""The classifier family: a label for a text, or one for each of its words."""
