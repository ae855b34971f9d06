"""The tree family: a state for each node of a tree, from its word or its children."""
