"""The encoder family: tokens to a state for each position."""
