"""The framework's side of layerdiff: `from layerdiff.capture import capture` records what a PyTorch module computes."""
