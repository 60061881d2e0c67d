"""Training with Lightning, networks, and checkpoints that hold their own description."""
