"""Guided diffusion: noise schedule, steps of eq. (1), guidance of eq. (2), sampler, losses."""
