"""The slices of this benchmark: held-out phantoms, each with a hundred forecast sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from mechlearn.config import recipes, schema
from mechlearn.config.growth_config import growth_spec
from mechlearn.config.specs import map_spec, sampler_spec
from mechlearn.config.stores import open_store, phantom_patients
from mechlearn.data.selection import growth_slices, spread
from mechlearn.data.store import SliceStore
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.evaluation.map_spec import MapSpec
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.size_forecast import forecast
from mechlearn.models.checkpoints import build_network, load_denoiser, load_guide
from mechlearn.models.networks import predicted_noise
from mechlearn.records import AxialSlice, GuidanceTarget, LongitudinalSlice

__all__ = ["Case", "Models", "Recipe", "cases", "load_pair", "nodes_of", "random_pair", "recipe",
           "synthetic_case"]  # fmt: skip

BELOW = 90.0  # percentile of the forecast's samples above which none is asked for (section 3.3)


@dataclass(frozen=True)
class Case:
    """A reference slice and its targets, ascending fractions (N,), one set a forecast seed.

    visit: folder of its visit in the store, and how many of its slices have tumour.
    """

    reference: AxialSlice
    targets: tuple[np.ndarray, ...]
    true_fraction: float | None = None
    visit: tuple[Path, int] | None = None


@dataclass(frozen=True)
class Models:
    """What both ways run on. digest names the weights, empty for random ones."""

    epsilon: object
    guide: object
    schedule: NoiseSchedule
    pixel_mm: float
    gain: float
    digest: str = ""
    size: int = 256


@dataclass(frozen=True)
class Recipe:
    """What `python -m mechlearn.forecast` composes: our default."""

    sampler: SamplerSpec
    maps: MapSpec
    growth: GrowthSpec
    data: DictConfig


def recipe(overrides: Sequence[str], *, size: int, pixel_mm: float) -> Recipe:
    """The default sampler, maps and growth law, and the phantom's slices on a grid.

    Args:
        overrides: Hydra's, such as sampler.steps=10 or maps.nodes=5.
    """
    schema.register()
    given = ["data=phantom", f"data.name=phantom{size}", "data.root=${paths.data}/phantom",
             f"data.prepare.size={size}", f"data.prepare.pixel_mm={pixel_mm:g}",
             *overrides]  # fmt: skip
    with initialize_config_dir(recipes.conf_dir(), version_base="1.3"):
        cfg = compose("forecast", given)
    return Recipe(sampler_spec(cfg), map_spec(cfg.maps), growth_spec(cfg), cfg)


def load_pair(denoiser: str, guide: str, device: str) -> Models:
    """Trained weights."""
    pair = load_denoiser(denoiser), load_guide(guide)
    for model in pair:
        model.module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Models(pair[0].epsilon, pair[1].module, pair[0].schedule, pair[0].pixel_mm,
                  pair[1].gain, f"{pair[0].digest}/{pair[1].digest}", pair[0].size)  # fmt: skip


def random_pair(device: str, *, guide: str = "segmenter") -> Models:
    """The paper's networks with random weights: they cost what trained ones cost, and draw nothing.
    """
    schema.register()
    networks = []
    for kind in ("ddpm", guide):
        with initialize_config_dir(recipes.conf_dir(), version_base="1.3"):
            cfg = compose("train", [f"model={kind}_paper"])
        made = build_network(dict(cfg.model.network.items())).eval()
        made.requires_grad_(False).to(device=device, memory_format=torch.channels_last)
        networks.append(made)
    denoiser = networks[0]
    return Models(lambda x, l: predicted_noise(denoiser, x, l), networks[1], NoiseSchedule(),
                  1.0, 1.0)  # fmt: skip


def cases(chosen: Recipe, *, count: int, seeds: Sequence[int] = (0, 1), n: int = 100) -> list[Case]:
    """Held-out slices, in turns from the test patients, the middle one of each first.

    The last visit is forecast from the earlier ones and the slice of the visit before it is the
    reference. Targets are the `n` samples below the 90th percentile, one set a forecast seed.
    """
    names = phantom_patients(chosen.data, "test", count)
    store = open_store(chosen.data, patients=names)
    groups = [_middle_first(store, patient) for patient in names or ()]
    found = [_case(store, item, chosen.growth, seeds, n) for item in spread(groups, count)]
    if len(found) < count:
        raise ValueError(f"--slices {count}: the test patients have {len(found)} such slices only.")
    return found


def _middle_first(store: SliceStore, patient: str) -> list[LongitudinalSlice]:
    """Growing slices with a tumour in the scan before the last, from the middle outwards."""
    usable = [s for s in growth_slices(store, patient) if s.slices[-2].tumour.sum() >= 12]
    return sorted(usable, key=lambda s: abs(usable.index(s) - (len(usable) - 1) / 2))


def _case(
    store: SliceStore, item: LongitudinalSlice, growth: GrowthSpec, seeds: Sequence[int], n: int
) -> Case:
    seen, truth = LongitudinalSlice(item.slices[:-1], item.courses), item.slices[-1]
    reference = seen.slices[-1]
    drawn = int(np.ceil((n - 1) / BELOW * 100)) + 1  # of which n lie below the percentile
    targets = []
    for seed in seeds:
        spec = GrowthSpec(**{**vars(growth), "n_bootstrap": drawn, "seed": seed})
        made = forecast(seen.timeline, truth.day, spec=spec).targets(
            reference.brain_area_mm2, below_percentile=BELOW)
        targets.append(np.array([t.tumour_fraction for t in made]))
    patient, session = reference.patient, reference.session
    folder = store.visit(patient, session).folder
    shown = sum(row.tumour_area_mm2 > 0 for row in store.slices(patient=patient)
                if row.session == session)  # fmt: skip
    return Case(reference, tuple(targets), truth.tumour_area_mm2 / reference.brain_area_mm2,
                (folder, shown))  # fmt: skip


def synthetic_case(size: int, *, n: int = 100) -> Case:
    """A disc of noise with a bright spot, for random weights: it times, and shows nothing."""
    row, column = np.mgrid[:size, :size] / (size - 1) * 2 - 1
    brain = row**2 + column**2 < 0.8**2
    labels = np.where((row - 0.2) ** 2 + column**2 < 0.2**2, 2, 0).astype(np.uint8)
    noise = np.random.default_rng(0).uniform(-0.5, 0.2, (4, size, size))
    image = np.where(brain, noise + 0.6 * (labels > 0), -1.0).astype(np.float32)
    spacing = 256 / size
    slice_ = AxialSlice("synthetic", "S0", 0.0, 0, image, labels, brain, (spacing, spacing))
    return Case(slice_, (np.linspace(0.05, 0.2, n),))


def nodes_of(targets: np.ndarray, nodes: int | None) -> list[GuidanceTarget]:
    """All targets, or the `nodes` quantile midpoints that `SizeForecast.targets` takes."""
    kept = np.sort(targets)
    if nodes is not None and nodes < kept.size:
        kept = np.quantile(kept, (np.arange(nodes) + 0.5) / nodes)
    return [GuidanceTarget(float(f), 1.0 / kept.size) for f in kept]
