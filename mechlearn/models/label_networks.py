"""Networks of label maps: a denoiser and an inpainter that see one, and a segmenter."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets.basic_unet import BasicUNet
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from torch import Tensor, nn
from torch.nn import functional as F

from mechlearn.spatial.intensity import BACKGROUND

__all__ = [
    "FOUND_LABELS",
    "LABEL_CHANNELS",
    "LabelDenoiser",
    "LabelInpainter",
    "LabelSegmenter",
    "label_map",
    "mean_and_spread",
]

LABEL_CHANNELS = ("core", "oedema", "enhancing", "cavity", "brain")
FOUND_LABELS = ("none", *LABEL_CHANNELS[:3])  # of a segmenter; a cavity is no tumour


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

    The image is read and written at full resolution by convolutions (no pixel-unshuffle, whose grid
    of 2 x 2 pixels shows as grain); MONAI's diffusion U-Net does the rest at half of it.

    Args:
        contrasts: C.
        width: channels at full resolution.
        channels, attention_levels, num_res_blocks, num_head_channels, norm_num_groups: of the
            U-Net, whose first level works at half of the resolution.
        inpainter: features of the `LabelInpainter` that makes first guesses, a network of its own
            in the same file; None for none.

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
        inpainter: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.contrasts, self.label_channels = contrasts, len(LABEL_CHANNELS)
        self.inpainter = LabelInpainter(contrasts, features=inpainter) if inpainter else None
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


class LabelSegmenter(nn.Module):
    """Logits of the labels of a clean image: (B, C, H, W) in [-1, 1] -> (B, 4, H, W).

    MONAI's BasicUNet on contrasts with mean 0 and standard deviation 1 over the brain, so that a
    scanner's gain and offset do not matter.

    Args:
        contrasts: C.
        features: channels of the five levels, from full resolution down, and of the last layers.
        dropout: of channels, in training.

    The labels are those of `FOUND_LABELS`. H and W are multiples of 16.
    """

    def __init__(
        self, contrasts: int = 4, *, features: Sequence[int] = (24, 24, 48, 96, 160, 24),
        dropout: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.unet = BasicUNet(
            spatial_dims=2, in_channels=contrasts, out_channels=len(FOUND_LABELS),
            features=tuple(features), dropout=dropout,
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        """Background, where a contrast is `BACKGROUND`, stays at 0."""
        brain = (image > BACKGROUND).to(image.dtype)
        mean, spread = mean_and_spread(image, brain)
        out: Tensor = self.unet((image - mean) * brain / spread)
        return out


class LabelInpainter(nn.Module):
    """The image to expect in a hidden region, under a label map: (B, C, H, W) -> (B, C, H, W).

    Hidden pixels start from the mean of the visible pixels of their label; MONAI's BasicUNet adds
    what the surroundings and the labels tell. Like the segmenter it works on contrasts with mean 0
    and standard deviation 1 over the visible brain.

    Args:
        contrasts: C.
        features: channels of the five levels, from full resolution down, and of the last layers.

    H and W are multiples of 16.
    """

    def __init__(
        self, contrasts: int = 4, *, features: Sequence[int] = (24, 24, 48, 96, 160, 24)
    ) -> None:
        super().__init__()
        self.unet = BasicUNet(
            spatial_dims=2, in_channels=contrasts + len(LABEL_CHANNELS) + 1,
            out_channels=contrasts, features=tuple(features),
        )  # fmt: skip
        for parameter in self.unet.final_conv.parameters():
            nn.init.zeros_(parameter)  # starts at the means

    def forward(self, image: Tensor, labels: Tensor, known: Tensor) -> Tensor:
        """The image with hidden and doubtful pixels as expected.

        Args:
            image: (B, C, H, W) in [-1, 1]; values of hidden pixels are not used.
            labels: (B, 5, H, W) of `label_map`, of the whole image.
            known: (B, 1, H, W), 1 for known pixels, 0 for hidden ones, .5 for doubtful ones, whose
                values are shown and may be changed.
        """
        shown = (labels[:, -1:] > 0).to(image.dtype) * (known > 0)
        sure = shown * (known >= 1)
        centre, spread = mean_and_spread(image, sure)
        seen = (image - centre) / spread * (known > 0)
        start = seen + (known <= 0) * _means_by_label(seen, labels, sure)
        change = self.unet(torch.cat([start, labels.to(image.dtype), known], 1))
        return torch.where(known < 1, (start + change).float() * spread + centre, image)


def mean_and_spread(image: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each contrast over `shown`, (B, C, 1, 1) each."""
    count = shown.sum((2, 3), keepdim=True).clamp_min(1)
    mean = (image * shown).sum((2, 3), keepdim=True) / count
    variance = ((image - mean) ** 2 * shown).sum((2, 3), keepdim=True) / count
    return mean, variance.sqrt().clamp_min(0.02)


def _means_by_label(seen: Tensor, labels: Tensor, shown: Tensor) -> Tensor:
    """Mean over the visible pixels of each pixel's label, 0 for a label that is not visible."""
    tissue = labels[:, -1:] - labels[:, :-1].sum(1, keepdim=True)
    parts = torch.cat([labels[:, :-1], tissue.clamp(0, 1)], 1).to(seen.dtype)
    weights = (parts * shown).flatten(2)  # (B, 5, N)
    sums = torch.einsum("bkn,bcn->bkc", weights, seen.flatten(2))
    means = sums / weights.sum(2).clamp_min(1)[..., None]
    return torch.einsum("bkhw,bkc->bchw", parts, means)
