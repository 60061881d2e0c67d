"""LPIPS by the shift-tolerant AlexNet of Ghildyal & Liu (ECCV 2022), with its published weights.

The wheel `stlpips-pytorch` holds the weights, but its code imports torchvision; the network's five
convolutions are written out here. Without the wheel there is no figure:

    pip install --no-deps stlpips-pytorch==0.0.2
"""

from __future__ import annotations

from importlib import util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

WEIGHTS = "weights/vST0.0/alex_shift_tolerant.pth"
CONVOLUTIONS = ("slice1.0", "slice2.5", "slice3.9", "slice4.11", "slice5.13")
PADDING = (2, 2, 1, 1, 1)
BLURS = {1: ("slice2.4",), 2: ("slice3.8",)}  # after pooling, before the convolution of that number
SIDE = 128  # pixels that a picture is enlarged to


class Perceptual:
    """Distance of two pictures of one contrast, as people would judge it; 0 for equal ones."""

    def __init__(self, path: Path) -> None:
        self.weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)

    @classmethod
    def find(cls) -> Perceptual | None:
        """With the weights of the installed wheel; None where there is none."""
        found = util.find_spec("stlpips_pytorch")
        if found is None or found.origin is None:
            return None
        return cls(Path(found.origin).parent / WEIGHTS)

    @torch.inference_mode()
    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(C, H, W) in [-1, 1], twice -> (C,)."""
        both = torch.from_numpy(np.concatenate([a, b]).astype(np.float32))[:, None]
        both = F.interpolate(both, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        total = torch.zeros(len(a))
        for number, layer in enumerate(self._layers(both.expand(-1, 3, -1, -1))):
            unit = layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10)
            apart = (unit[: len(a)] - unit[len(a) :]).square()
            weight = self.weights[f"lin{number}.model.1.weight"]
            total += F.conv2d(apart, weight).mean((1, 2, 3))
        return np.asarray(total)

    def _layers(self, x: Tensor) -> list[Tensor]:
        w, out = self.weights, []
        x = (x - w["scaling_layer.shift"]) / w["scaling_layer.scale"]
        for number, (name, padding) in enumerate(zip(CONVOLUTIONS, PADDING, strict=True)):
            for blur in BLURS.get(number, ()):
                x = self._blurred(F.max_pool2d(x, 3, stride=1), blur)
            x = F.conv2d(x, w[f"net.{name}.weight"], w[f"net.{name}.bias"], padding=padding)
            x = F.relu(self._blurred(x, "slice1.1") if number == 0 else x)
            out.append(x)
        return out

    def _blurred(self, x: Tensor, name: str) -> Tensor:
        """Every second pixel of x after a small blur."""
        padded = F.pad(x, (2, 2, 2, 2), mode="reflect")
        return F.conv2d(padded, self.weights[f"net.{name}.filt"], stride=2, groups=x.shape[1])
