"""A denoiser that sees a label map: what is to be drawn, and where.

The image is read and written at full resolution by convolutions (no pixel-unshuffle, whose grid of
2 x 2 pixels shows as grain); MONAI's diffusion U-Net does the rest at half of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["LABEL_CHANNELS", "LabelDenoiser", "label_map"]

LABEL_CHANNELS = ("core", "oedema", "enhancing", "cavity", "brain")


def label_map(labels: Tensor, brain: Tensor) -> Tensor:
    """Canonical labels and brain -> one-hot channels in the order of `LABEL_CHANNELS`.

    Args:
        labels: (B, H, W), integers 0 none, 1 core, 2 oedema, 3 enhancing, 4 cavity.
        brain: (B, 1, H, W) of 0 and 1.

    Returns:
        (B, 5, H, W) float32 of 0 and 1; `brain` is 1 in the tumour as well. All channels 0 is the
        map of an image of which nothing is said.
    """
    of_label = [(labels == number).float() for number in range(1, len(LABEL_CHANNELS))]
    return torch.cat([torch.stack(of_label, 1), brain.float()], 1)


class LabelDenoiser(nn.Module):
    """epsilon and the variance interpolation v under a label map: (B, C, H, W) -> (B, 2C, H, W).

    Args:
        contrasts: C.
        width: channels at full resolution.
        channels, attention_levels, num_res_blocks, num_head_channels, norm_num_groups: of the
            U-Net, whose first level works at half of the resolution.

    Without a label map the network is the unconditional denoiser: it was trained with the labels
    left out in a share of the images.
    """

    def __init__(
        self,
        contrasts: int = 4,
        *,
        width: int = 24,
        channels: Sequence[int] = (32, 64, 96, 128),
        attention_levels: Sequence[bool] = (False, False, True, False),
        num_res_blocks: int = 1,
        num_head_channels: int | None = None,
        norm_num_groups: int = 8,
    ) -> None:
        super().__init__()
        self.contrasts, self.label_channels = contrasts, len(LABEL_CHANNELS)
        seen = contrasts + self.label_channels
        self.read = nn.Conv2d(seen, width, 3, padding=1)
        self.down = nn.Conv2d(width, channels[0], 4, stride=2, padding=1)
        self.unet = DiffusionModelUNet(
            spatial_dims=2,
            in_channels=channels[0],
            out_channels=channels[0],
            channels=tuple(channels),
            attention_levels=tuple(attention_levels),
            num_res_blocks=num_res_blocks,
            num_head_channels=tuple(num_head_channels or c for c in channels),
            norm_num_groups=norm_num_groups,
        )
        # MONAI starts its last convolution at zero, which would hold the whole branch at zero.
        nn.init.kaiming_normal_(self.unet.out[2].conv.weight)  # type: ignore[union-attr, arg-type]
        self.up = nn.Conv2d(channels[0], width, 3, padding=1)
        self.join = nn.Conv2d(2 * width + contrasts, width, 3, padding=1)
        self.refine = nn.Sequential(
            nn.GroupNorm(norm_num_groups, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)
        )
        self.write = nn.Sequential(
            nn.GroupNorm(norm_num_groups, width), nn.SiLU(),
            nn.Conv2d(width, 2 * contrasts, 3, padding=1),
        )  # fmt: skip
        for parameter in self.write[2].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x_l: Tensor, l: Tensor, labels: Tensor | None = None) -> Tensor:
        """x_l (B, C, H, W), l (B,), labels (B, 5, H, W) of `label_map`; None: none are given."""
        if labels is None:
            labels = x_l.new_zeros((x_l.shape[0], self.label_channels, *x_l.shape[2:]))
        full = F.silu(self.read(torch.cat([x_l, labels.to(x_l.dtype)], 1)))
        half = self.unet(self.down(full), l)
        up = F.silu(self.up(F.interpolate(half, scale_factor=2.0, mode="nearest")))
        joined = self.join(torch.cat([full, up, x_l], 1))
        out: Tensor = self.write(joined + self.refine(joined))
        return out
