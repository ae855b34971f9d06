"""Training: recipes, a thin Trainer, checkpoints that survive a kill, and averages of weights."""
