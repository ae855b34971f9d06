"""From rows to batches; nothing here knows a model."""
