"""Preview panels during training: what the models draw, as PNG files and in W&B."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import WandbLogger
from torch import Tensor

from mechlearn.diffusion.networks import predicted_noise
from mechlearn.diffusion.sampler import GuidedSampler, SamplerSpec
from mechlearn.diffusion.steps import add_noise
from mechlearn.records import GuidanceTarget
from mechlearn.training.base import NoisedModule
from mechlearn.training.checkpoints import LoadedModel, check_pair, load_denoiser, load_guide

__all__ = ["PreviewCallback"]


def _grey(image: Tensor) -> np.ndarray:
    """(H, W) in [-1, 1] -> uint8 (H, W, 3)."""
    level = ((image.float().cpu().clamp(-1, 1) + 1) * 127.5).byte().numpy()
    return np.repeat(level[..., None], 3, axis=2)


def _outlined(image: Tensor, mask: Tensor) -> np.ndarray:
    """Grey picture with the rim of a boolean mask in red."""
    picture, inside = _grey(image), mask.cpu().numpy() > 0.5
    inner = inside.copy()
    for axis in (0, 1):
        for shift in (1, -1):
            inner &= np.roll(inside, shift, axis)
    picture[inside & ~inner] = (255, 64, 64)
    return picture


class PreviewCallback(pl.Callback):
    """After validation, draws a few validation slices (contrast t2f where there is one).

    With a partner (a guide beside a denoiser in training, or the other way round) each row shows
    the scan with its mask and guided generations at `multiples` of its tumour size. Without one a
    denoiser shows unguided reconstructions from rising noise levels, a segmenter its masks there.
    Stands before the EMA callback in the list, so that it sees the averaged weights.
    """

    def __init__(
        self,
        sampler: SamplerSpec,
        *,
        partner: str | None = None,
        guide_kind: str = "segmenter",
        directory: str = "previews",
        n_slices: int = 3,
        multiples: Sequence[float] = (0.5, 1.0, 1.5, 2.0),
        every_n_validations: int = 1,
    ) -> None:
        self.spec, self.partner, self.guide_kind = sampler, partner, guide_kind
        self.directory, self.n_slices = Path(directory), n_slices
        self.multiples, self.every = tuple(multiples), every_n_validations
        self._items: list[dict[str, Tensor]] = []
        self._count = 0

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        self._count += 1
        if (self._count - 1) % self.every:
            return
        assert isinstance(pl_module, NoisedModule)
        self._items = self._items or _spread_slices(trainer.val_dataloaders, self.n_slices)
        with torch.no_grad():
            rows = [self._row(pl_module, {k: v.to(pl_module.device) for k, v in item.items()})
                    for item in self._items]
        if not rows:
            return
        panel = np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"step_{trainer.global_step:07d}.png"
        Image.fromarray(panel).save(path)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("previews", [str(path)], step=trainer.global_step)

    def _row(self, module: NoisedModule, item: dict[str, Tensor]) -> list[np.ndarray]:
        channel = _t2f_channel(module)
        first = _outlined(item["image"][channel], item["tumour"][0])
        if self.partner is not None:
            return [first, *self._guided(module, item, channel)]
        if module.card["kind"] == "ddpm":
            return [first, *self._reconstructions(module, item, channel)]
        return [first, *self._readings(module, item, channel)]

    def _guided(
        self, module: NoisedModule, item: dict[str, Tensor], channel: int
    ) -> list[np.ndarray]:
        assert self.partner is not None
        training_denoiser = module.card["kind"] == "ddpm"
        if training_denoiser:
            partner = load_guide(self.partner, kind=self.guide_kind)
            denoiser, guide = _epsilon(module), partner.module.to(module.device)
        else:
            partner = load_denoiser(self.partner)
            partner.module.to(module.device)
            denoiser, guide = partner.epsilon, module.network
        sampler = GuidedSampler(
            denoiser, guide, schedule=module.schedule, spec=self.spec,  # type: ignore[arg-type]
            pixel_mm=partner.pixel_mm, device=module.device,
            gain=partner.gain if training_denoiser else 1.0,
        )  # fmt: skip
        fraction = float(item["fraction"])
        targets = [GuidanceTarget(min(m * fraction, 1.0)) for m in self.multiples]
        out = sampler.sample(item["image"], targets, brain=item["brain"][0])
        return [_grey(g.image[channel]) for g in out]

    def _reconstructions(
        self, module: NoisedModule, item: dict[str, Tensor], channel: int
    ) -> list[np.ndarray]:
        pictures = []
        for nl in (100, 200, 400):
            spec = SamplerSpec(nl=nl, scale="0", encode="noise", steps=min(20, nl))
            sampler = GuidedSampler(
                _epsilon(module), module.network, schedule=module.schedule, spec=spec,
                device=module.device,
            )  # fmt: skip
            made = sampler.reconstruct(item["image"], brain=item["brain"][0])
            pictures.append(_grey(made[channel]))
        return pictures

    def _readings(
        self, module: NoisedModule, item: dict[str, Tensor], channel: int
    ) -> list[np.ndarray]:
        pictures = []
        for level in (0, 100, 200, 400):
            x0 = item["image"][None]
            l = torch.full((1,), level, device=x0.device)
            noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(level)).to(x0)
            x_l = add_noise(x0, noise, alpha_bar=module.schedule.alpha_bar(l))
            out = module.network(x_l, l)
            if module.card["kind"] == "segmenter":
                found = (out[0, 0] > 0) & (item["brain"][0] > 0)  # it is trained in the brain alone
                pictures.append(_outlined(x_l[0, channel], found))
            else:  # a bar as long as the predicted fraction, above one of the true fraction
                picture = _grey(x_l[0, channel])
                width = picture.shape[1]
                picture[-4:-2, : int(width * float(out[0].clamp(0, 1)))] = (255, 64, 64)
                picture[-2:, : int(width * float(item["fraction"]))] = (64, 255, 64)
                pictures.append(picture)
        return pictures

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a partner that does not fit before the first step."""
        if self.partner is None or not isinstance(pl_module, NoisedModule):
            return
        if pl_module.card["kind"] == "ddpm":
            partner = load_guide(self.partner, kind=self.guide_kind)
        else:
            partner = load_denoiser(self.partner)
        check_pair(_as_loaded(pl_module), partner)


def _spread_slices(loader: Any, n: int, *, candidates: int = 90) -> list[dict[str, Tensor]]:
    """The largest tumour of each of n equal parts of the validation set, so of several patients."""
    dataset = loader.dataset
    parts = np.array_split(np.unique(np.linspace(0, len(dataset) - 1, candidates).astype(int)), n)
    best = [max((dataset[int(i)] for i in part), key=lambda item: float(item["fraction"]))
            for part in parts if len(part)]
    return [{k: v for k, v in item.items() if isinstance(v, Tensor)} for item in best]


def _as_loaded(module: NoisedModule) -> LoadedModel:
    return LoadedModel(module.network, module.card, "the model in training")


def _epsilon(module: NoisedModule) -> Any:
    return lambda x_l, l: predicted_noise(module.network, x_l, l).float()


def _t2f_channel(module: NoisedModule) -> int:
    contrasts = list(module.card["data"]["contrasts"])
    return contrasts.index("t2f") if "t2f" in contrasts else 0
