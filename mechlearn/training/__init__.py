"""Training: Lightning wiring around the diffusion maths, and checkpoints that describe themselves."""
