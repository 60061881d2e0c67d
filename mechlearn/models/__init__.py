"""Training: Lightning wiring around the diffusion maths; self-describing checkpoints."""
