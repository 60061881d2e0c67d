"""Preview panels during training: images by the models, as PNG files and in W&B."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import WandbLogger
from torch import Tensor

from mechlearn.diffusion.sampler import GuidedSampler
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.diffusion.steps import add_noise
from mechlearn.models.checkpoints import LoadedModel, check_pair, load_denoiser, load_guide
from mechlearn.models.networks import predicted_noise
from mechlearn.models.noised_module import NoisedModule
from mechlearn.models.panels import Picture, as_mask, as_wandb, draw_panel
from mechlearn.records import GuidanceTarget
from mechlearn.spatial.flair_threshold import FlairThreshold

__all__ = ["PreviewCallback"]


class PreviewCallback(pl.Callback):
    """Writes a panel of a few validation slices after validation (contrast t2f, if there is one).

    With a partner (a guide for a denoiser in training, or a denoiser for a guide) each row shows
    the scan with its mask, and guided generations at `multiples` of its tumour size with target
    sizes and sizes measured by FLAIR threshold. Without a partner a denoiser shows unguided
    reconstructions from several noise levels, and a guide its predictions at several levels.

    With `upload` the panel and the images with their masks are also logged to W&B; otherwise they
    are only in `directory`. The callback must be before the EMA callback in the list, so that it
    uses the averaged weights.
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
        upload: bool = False,
    ) -> None:
        if partner is not None and sampler.guidance == "labels":
            raise ValueError(
                "sampler.guidance=labels: previews of a pair are guided by the guide. Take "
                "sampler=paper or sampler=fast."
            )
        self.spec, self.partner, self.guide_kind = sampler, partner, guide_kind
        self.directory, self.n_slices = Path(directory), n_slices
        self.multiples, self.every = tuple(multiples), every_n_validations
        self.upload = upload
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
        partner = self._load_partner(pl_module)
        with torch.no_grad():
            rows = [
                self._row(pl_module, {k: v.to(pl_module.device) for k, v in item.items()}, partner)
                for item in self._items
            ]
        if not rows:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"step_{trainer.global_step:07d}.png"
        draw_panel(rows).save(path)
        for logger in trainer.loggers:
            if self.upload and isinstance(logger, WandbLogger):
                pictures = [p for i, row in enumerate(rows, 1)
                            for p in as_wandb(row, what=f"slice {i}")]  # fmt: skip
                logger.log_image("previews/panel", [str(path)], step=trainer.global_step)
                logger.log_metrics({"previews/slices": pictures}, step=trainer.global_step)  # type: ignore[dict-item]

    def _row(
        self, module: NoisedModule, item: dict[str, Tensor], partner: LoadedModel | None
    ) -> list[Picture]:
        channel = _t2f_channel(module)
        tumour = as_mask(item["tumour"][0])
        size = f"tumour {float(item['fraction']):.1%}"
        first = Picture(item["image"][channel], "scan", size, {"expert": tumour})
        if partner is not None:
            return [first, *self._guided(module, item, channel, partner)]
        if module.card["kind"] == "ddpm":
            return [first, *self._reconstructions(module, item, channel)]
        return [first, *self._readings(module, item, channel)]

    def _load_partner(self, module: NoisedModule) -> LoadedModel | None:
        if self.partner is None:
            return None
        if module.card["kind"] == "ddpm":
            return load_guide(self.partner, kind=self.guide_kind)
        return load_denoiser(self.partner)

    def _guided(
        self, module: NoisedModule, item: dict[str, Tensor], channel: int, partner: LoadedModel
    ) -> list[Picture]:
        partner.module.to(module.device)
        if partner.kind == "ddpm":
            denoiser, guide, kind, gain = partner.epsilon, module.network, module.card["kind"], 1.0
        else:
            denoiser, guide = _epsilon(module), partner.module
            kind, gain = partner.kind, partner.gain
        sampler = GuidedSampler(
            denoiser, guide, schedule=module.schedule, spec=self.spec,
            pixel_mm=partner.pixel_mm, device=module.device, gain=gain,
        )  # fmt: skip
        fraction, flair = float(item["fraction"]), _flair_threshold(module, item)
        targets = [GuidanceTarget(min(m * fraction, 1.0)) for m in self.multiples]
        made = sampler.sample(item["image"], targets, brain=item["brain"][0])
        pictures = []
        for m, target, out in zip(self.multiples, targets, made, strict=True):
            caption, masks = f"asked {target.tumour_fraction:.1%}", {}
            if flair is not None:
                masks["measured"] = flair.mask(out.image)
                caption += f", is {flair.fraction(out.image):.1%}"
            if kind == "segmenter":
                masks["guide"] = _found(guide, out.image[None].to(module.device), item["brain"])
            pictures.append(Picture(out.image[channel], f"{m:g} x the size", caption, masks))
        return pictures

    def _reconstructions(
        self, module: NoisedModule, item: dict[str, Tensor], channel: int
    ) -> list[Picture]:
        pictures = []
        for nl in (100, 200, 400):
            spec = SamplerSpec(nl=nl, scale="0", encode="noise", steps=min(20, nl))
            sampler = GuidedSampler(
                _epsilon(module), module.network, schedule=module.schedule, spec=spec,
                device=module.device,
            )  # fmt: skip
            made = sampler.reconstruct(item["image"], brain=item["brain"][0])
            inside = item["brain"][0] > 0
            error = float((made.to(item["image"]) - item["image"]).abs()[:, inside].mean())
            pictures.append(Picture(made[channel], f"from level {nl}", f"differs by {error:.3f}"))
        return pictures

    def _readings(
        self, module: NoisedModule, item: dict[str, Tensor], channel: int
    ) -> list[Picture]:
        pictures = []
        for level in (0, 100, 200, 400):
            x0 = item["image"][None]
            l = torch.full((1,), level, device=x0.device)
            noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(level)).to(x0)
            x_l = add_noise(x0, noise, alpha_bar=module.schedule.alpha_bar(l))
            title = f"level {level}"
            if module.card["kind"] == "segmenter":
                found = _found(module.network, x_l, item["brain"], level)
                share = found.sum() / max(float(item["brain"].sum()), 1.0)
                pictures.append(
                    Picture(x_l[0, channel], title, f"finds {share:.1%}", {"guide": found})
                )
            else:
                says = float(module.network(x_l, l)[0])
                pictures.append(Picture(x_l[0, channel], title, f"says {says:.1%}"))
        return pictures

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """ValueError before the first step for a partner that does not match."""
        if self.partner is None or not isinstance(pl_module, NoisedModule):
            return
        partner = self._load_partner(pl_module)
        assert partner is not None
        check_pair(_as_loaded(pl_module), partner)


def _spread_slices(loader: Any, n: int, *, candidates: int = 90) -> list[dict[str, Tensor]]:
    """The slice with the largest tumour in each of n equal parts of the validation set."""
    dataset = loader.dataset
    parts = np.array_split(np.unique(np.linspace(0, len(dataset) - 1, candidates).astype(int)), n)
    best = [max((dataset[int(i)] for i in part), key=lambda item: float(item["fraction"]))
            for part in parts if len(part)]
    return [{k: v for k, v in item.items() if isinstance(v, Tensor)} for item in best]


def _found(segmenter: Any, x_l: Tensor, brain: Tensor, level: int = 0) -> np.ndarray:
    """A segmenter's mask of an image (1, C, H, W), restricted to the brain, (H, W) bool."""
    out = segmenter(x_l, torch.full((1,), level, device=x_l.device))
    return as_mask((out[0, 0] > 0) & (brain[0] > 0))


def _flair_threshold(module: NoisedModule, item: dict[str, Tensor]) -> FlairThreshold | None:
    """FLAIR threshold of a slice; None without FLAIR or without a tumour."""
    contrasts = tuple(module.card["data"]["contrasts"])
    tumour, brain = as_mask(item["tumour"][0]), as_mask(item["brain"][0])
    if "t2f" not in contrasts or not (tumour & brain).any():
        return None
    pixel_mm = float(module.card["data"]["pixel_mm"])
    return FlairThreshold.fit(item["image"], tumour, brain, contrasts=contrasts, pixel_mm=pixel_mm)


def _as_loaded(module: NoisedModule) -> LoadedModel:
    return LoadedModel(module.network, module.card, "the model in training")


def _epsilon(module: NoisedModule) -> Any:
    return lambda x_l, l: predicted_noise(module.network, x_l, l).float()


def _t2f_channel(module: NoisedModule) -> int:
    contrasts = list(module.card["data"]["contrasts"])
    return contrasts.index("t2f") if "t2f" in contrasts else 0
