"""Models: which network answers which question."""
