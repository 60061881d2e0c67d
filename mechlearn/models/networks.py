"""Networks: MONAI's diffusion U-Net with an optional pixel-unshuffle stem.

Inputs are x_l (B, C, H, W) and the noise level l (B,). A stem of 2 moves 2 x 2 pixels into
channels, so that a 128 x 128 image has the cost of 64 x 64; stem=1 is the network of the paper.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets.diffusion_model_unet import DiffusionModelEncoder, DiffusionModelUNet
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Denoiser", "Regressor", "Segmenter", "predicted_noise", "soft_fraction"]


class _StemmedUNet(nn.Module):
    """U-Net over pixel-unshuffled input: (B, C, H, W), (B,) -> (B, out_channels, H, W)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        channels: Sequence[int],
        attention_levels: Sequence[bool],
        num_res_blocks: int,
        stem: int,
        num_head_channels: int | None,
        norm_num_groups: int,
        classes: int | None = None,
    ) -> None:
        super().__init__()
        self.stem, self.classes = stem, classes
        self.unet = DiffusionModelUNet(
            spatial_dims=2,
            in_channels=in_channels * stem**2,
            out_channels=out_channels * stem**2,
            channels=tuple(channels),
            attention_levels=tuple(attention_levels),
            num_res_blocks=num_res_blocks,
            num_head_channels=tuple(num_head_channels or c for c in channels),  # None: one head
            norm_num_groups=norm_num_groups,
            num_class_embeds=classes,
        )

    def forward(self, x_l: Tensor, l: Tensor, label: Tensor | None = None) -> Tensor:
        folded = F.pixel_unshuffle(x_l, self.stem) if self.stem > 1 else x_l
        out = self.unet(folded, l, class_labels=label)
        return F.pixel_shuffle(out, self.stem) if self.stem > 1 else out


class Denoiser(_StemmedUNet):
    """epsilon and the variance interpolation v: (B, C, H, W) -> (B, 2C, H, W).

    The defaults are the paper's: base 128, multipliers 1, 1, 2, 2, 4, 4, two residual blocks,
    attention at 16 x 16 of 256 x 256, one head. With classes=2 a label (B,) is a further input: 1
    for a slice with tumour, 0 for one without.
    """

    def __init__(
        self,
        contrasts: int = 4,
        *,
        channels: Sequence[int] = (128, 128, 256, 256, 512, 512),
        attention_levels: Sequence[bool] = (False, False, False, False, True, False),
        num_res_blocks: int = 2,
        stem: int = 1,
        num_head_channels: int | None = None,
        norm_num_groups: int = 32,
        classes: int | None = None,
    ) -> None:
        super().__init__(
            contrasts, 2 * contrasts, channels=channels, attention_levels=attention_levels,
            num_res_blocks=num_res_blocks, stem=stem, num_head_channels=num_head_channels,
            norm_num_groups=norm_num_groups, classes=classes,
        )  # fmt: skip


def predicted_noise(denoiser: nn.Module, x_l: Tensor, l: Tensor) -> Tensor:
    """epsilon, (B, C, H, W), of a denoiser, without the learned variance.

    A denoiser with classes gets the class of slices with tumour.
    """
    has_tumour = (torch.ones_like(l),) if getattr(denoiser, "classes", None) else ()
    out: Tensor = denoiser(x_l, l, *has_tumour)
    return out[:, : x_l.shape[1]]


class Segmenter(_StemmedUNet):
    """Tumour logit at any noise level: (B, C, H, W) -> (B, 1, H, W)."""

    def __init__(
        self,
        contrasts: int = 4,
        *,
        channels: Sequence[int] = (64, 64, 128, 128, 256, 256),
        attention_levels: Sequence[bool] = (False, False, False, False, True, False),
        num_res_blocks: int = 1,
        stem: int = 1,
        num_head_channels: int | None = None,
        norm_num_groups: int = 32,
    ) -> None:
        super().__init__(
            contrasts, 1, channels=channels, attention_levels=attention_levels,
            num_res_blocks=num_res_blocks, stem=stem, num_head_channels=num_head_channels,
            norm_num_groups=norm_num_groups,
        )  # fmt: skip

    def tumour_logits(self, x_l: Tensor, l: Tensor) -> Tensor:
        """(B, 1, H, W)."""
        logits: Tensor = self(x_l, l)
        return logits

    def fraction(self, x_l: Tensor, l: Tensor, brain: Tensor) -> Tensor:
        """R: soft tumour area over brain area, (B,)."""
        return soft_fraction(self(x_l, l), brain)


def soft_fraction(logits: Tensor, brain: Tensor) -> Tensor:
    """Sum of tumour probabilities over brain pixels, (B,). Both (B or 1, 1, H, W)."""
    probability = torch.sigmoid(logits.float()) * brain
    return probability.flatten(1).sum(1) / brain.flatten(1).sum(1).clamp_min(1)


class _AttentionPool(nn.Module):
    """Attention pooling of flattened features (B, C * N) -> (B, 1), as in Dhariwal & Nichol."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.channels = channels
        self.norm = nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.out = nn.Linear(channels, 1)

    def forward(self, flat: Tensor) -> Tensor:
        tokens = self.norm(flat.reshape(flat.shape[0], self.channels, -1).transpose(1, 2))
        mean = tokens.mean(1, keepdim=True)
        pooled, _ = self.attention(mean, tokens, tokens, need_weights=False)
        out: Tensor = self.out(pooled[:, 0])
        return out


class Regressor(nn.Module):
    """The guide of the paper: a U-Net encoder that predicts tumour area over brain area.

    Defaults: width 32, multipliers 1, 1, 2, 2, 4, 4, four residual blocks a level, attention at
    32, 16 and 8 of 256 x 256, attention pooling. MONAI's residual block adds the level embedding;
    the reference implementation scales and shifts with it.
    """

    def __init__(
        self,
        contrasts: int = 4,
        *,
        channels: Sequence[int] = (32, 32, 64, 64, 128, 128),
        attention_levels: Sequence[bool] = (False, False, False, True, True, True),
        num_res_blocks: int = 4,
        stem: int = 1,
        num_head_channels: int = 32,
        norm_num_groups: int = 32,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.encoder = DiffusionModelEncoder(
            spatial_dims=2,
            in_channels=contrasts * stem**2,
            out_channels=1,
            input_shape=(2 ** len(channels),) * 2,  # only for the head, which is replaced below
            channels=tuple(channels),
            attention_levels=tuple(attention_levels),
            num_res_blocks=num_res_blocks,
            num_head_channels=num_head_channels,
            norm_num_groups=norm_num_groups,
        )
        self.encoder.out = _AttentionPool(channels[-1], channels[-1] // num_head_channels)

    def forward(self, x_l: Tensor, l: Tensor) -> Tensor:
        """Tumour fraction, (B,)."""
        folded = F.pixel_unshuffle(x_l, self.stem) if self.stem > 1 else x_l
        out: Tensor = self.encoder(folded, l)
        return out[:, 0]

    def fraction(self, x_l: Tensor, l: Tensor, brain: Tensor) -> Tensor:
        """R, (B,); the brain mask is not used, because the network predicts the fraction."""
        return self(x_l, l).float()
