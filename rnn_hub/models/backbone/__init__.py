"""Pretrained convolutional networks, which turn images and frames into vectors."""
