"""What one member costs in memory, so that a batch fits a budget."""

from __future__ import annotations

import torch
from torch import Tensor

from mechlearn.diffusion.evaluator import Evaluator
from mechlearn.diffusion.guidance import fraction_and_gradient

__all__ = ["bytes_of_member"]


def bytes_of_member(models: Evaluator, x0: Tensor, brain: Tensor) -> int:
    """Bytes that the guide's gradient keeps for one image, (1, C, H, W): all that autograd saves.

    It outweighs the denoiser, which keeps nothing; weights do not count, they are shared. Counted,
    not timed or measured: the same on every machine.
    """
    sizes: dict[int, int] = {}
    shared = {p.data_ptr() for p in _parameters(models)}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in shared:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        level = torch.ones(1, dtype=torch.long, device=x0.device)
        fraction_and_gradient(models.guide, x0, level, brain=brain)
    return max(sum(sizes.values()), x0.numel() * x0.element_size() * 16)


def _parameters(models: Evaluator) -> list[Tensor]:
    guide = models.guide
    return list(guide.parameters()) if isinstance(guide, torch.nn.Module) else []
