"""A classifier of real and drawn patches: 0.5 is a picture that it cannot tell from a scan.

Patches lie around random pixels of a tumour's outer band, once as scanned and once as drawn again.
The classifier is trained on patients that are not those it is tested on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from cases import Task, regrowth
from torch import Tensor, nn
from torch.nn import functional as F

from mechlearn.records import AxialSlice

SIDE = 24  # pixels of a patch
PER_SLICE = 24  # patches
STEPS, BATCH = 400, 64


def patches(
    scans: Sequence[AxialSlice], draw: Callable[[AxialSlice, Task], np.ndarray], *, seed: int
) -> tuple[Tensor, list[str]]:
    """(N, 2, C, side, side), real and drawn at the same places, and the patient of each."""
    rng, found, whose = np.random.default_rng(seed), [], []
    for scan in scans:
        task = regrowth(scan)
        assert task.truth is not None
        pair = np.stack([task.truth, draw(scan, task)]).astype(np.float32)
        wide = np.pad(pair, ((0, 0), (0, 0), (SIDE, SIDE), (SIDE, SIDE)), constant_values=-1)
        band = np.argwhere(task.band)
        for row, column in band[rng.integers(len(band), size=PER_SLICE)] + SIDE // 2:
            found.append(wide[..., row : row + SIDE, column : column + SIDE])
            whose.append(scan.patient)
    return torch.from_numpy(np.stack(found)), whose


def classifier(contrasts: int) -> nn.Module:
    """A small convolutional network, (B, C, side, side) -> (B, 1)."""
    layers: list[nn.Module] = []
    channels = contrasts
    for width in (32, 48, 64):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
                   nn.Conv2d(width, width, 3, stride=2, padding=1), nn.ReLU()]
        channels = width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(channels, 1)]
    return nn.Sequential(*layers, *head)


def trained(pairs: Tensor, *, seed: int) -> nn.Module:
    """A classifier of such pairs, with flips and changes of gain in training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = classifier(pairs.shape[2])
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
        generator = torch.Generator().manual_seed(seed)
        for _ in range(STEPS):
            chosen = torch.randint(len(pairs), (BATCH // 2,), generator=generator)
            x = pairs[chosen].transpose(0, 1).flatten(0, 1)
            for axis in (-1, -2):
                if torch.rand((), generator=generator) < 0.5:
                    x = x.flip(axis)
            gain = 1 + 0.2 * (torch.rand(x.shape[1], generator=generator) - 0.5)
            x = (x + 1) * gain[:, None, None] - 1
            target = torch.tensor([0.0, 1.0]).repeat_interleave(BATCH // 2)
            loss = F.binary_cross_entropy_with_logits(net(x)[:, 0], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


@torch.inference_mode()
def accuracy(net: nn.Module, pairs: Tensor, whose: Sequence[str]) -> dict[str, float]:
    """Share of patches told rightly, of each patient."""
    right = [(net(pairs[:, k])[:, 0] > 0) == bool(k) for k in (0, 1)]
    hit = torch.stack(right, 1).float().mean(1).numpy()
    return {p: float(hit[[w == p for w in whose]].mean()) for p in sorted(set(whose))}
