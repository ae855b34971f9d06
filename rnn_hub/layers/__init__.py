"""Layers: how steps become a network."""
