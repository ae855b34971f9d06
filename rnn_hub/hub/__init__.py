"""What goes to the Hub beside the weights: model cards from measured results."""
