"""Text of the README of an exported pair, from the cards."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.models.checkpoints import LoadedModel

__all__ = ["NO_DEVICE", "Pair"]

NO_DEVICE = (
    "Not a medical device. Research software, not validated for clinical use, not to be used for "
    "the diagnosis or treatment of any patient."
)
INTENDED = (
    "Research on how a tumour's size changes its appearance: drawing axial MRI slices of a brain "
    "at other tumour sizes, as a part of tumour growth forecasting."
)
PAPER = (
    "Laslo et al., *Mechanistic Learning with Guided Diffusion Models to Predict Spatio-Temporal "
    "Brain Tumor Growth*"
)


@dataclass(frozen=True)
class Pair:
    """Two models, and what is said of them beside their cards."""

    WORDS: ClassVar = ("name", "description", "sampler", "license", "authors", "trained_on",
                       "datasets")
    denoiser: LoadedModel
    guide: LoadedModel
    name: str
    description: str
    sampler: SamplerSpec
    license: str
    authors: str
    trained_on: str | None
    datasets: tuple[str, ...] = ()

    @property
    def contrasts(self) -> tuple[str, ...]:
        return self.denoiser.contrasts

    @property
    def summary(self) -> str:
        return self.description or (
            f"Guided diffusion that redraws an axial brain MRI slice ({', '.join(self.contrasts)}) "
            "with its tumour at another size, the rest of the anatomy kept."
        )

    def source(self, model: LoadedModel) -> str:
        """What a model was trained on: its card, else what the exporter said."""
        return str(model.card.get("trained_on") or self.trained_on or "not recorded")

    @property
    def sources(self) -> list[str]:
        """What the two were trained on, each once."""
        return list(dict.fromkeys(self.source(m) for m in (self.denoiser, self.guide)))

    @property
    def phantom(self) -> bool:
        """Whether either was trained on phantoms, as far as it is said."""
        return any("phantom" in source.lower() for source in self.sources)

    def sections(self, usage: str) -> str:
        """Markdown: what it is, training, input, recipe, use, limits, citation."""
        return "\n\n".join((
            f"# {self.name}", f"**{NO_DEVICE}**", self.summary, self._phantom_note(),
            f"## Intended use\n\n{INTENDED}", "## Models\n\n" + self._table(),
            "## Input and output\n\n" + self._input(), "## Sampler\n\n" + self._recipe(),
            "## Use\n\n" + usage, "## Limits\n\n" + self._limits(),
            f"## Citation\n\nThe method is that of {PAPER}; mechlearn is an independent "
            "implementation.",
        )).replace("\n\n\n\n", "\n\n") + "\n"  # fmt: skip

    def _phantom_note(self) -> str:
        if not self.phantom:
            return ""
        return (
            "**Trained on phantoms**: tumours computed by an equation, painted on template "
            "anatomy. What it draws on a patient demonstrates the code and is no evidence about "
            "the patient."
        )

    def _table(self) -> str:
        pair = (self.denoiser, self.guide)
        rows = {
            "kind": [m.kind for m in pair],
            "network": [f"`{m.card['network']['_target_']}`" for m in pair],
            "parameters": [f"{sum(p.numel() for p in m.module.parameters()):,}" for m in pair],
            "trained on": [self.source(m) for m in pair],
            "training steps": [_value(m.card.get("training_steps")) for m in pair],
            "gain": ["", f"{self.guide.gain:.6g}"],
            "mechlearn": [_value(m.card.get("version")) for m in pair],
            "revision": [_value(m.card.get("git")) for m in pair],
        }
        lines = ["| | denoiser | guide |", "|---|---|---|"]
        return "\n".join(lines + [f"| {key} | {a} | {b} |" for key, (a, b) in rows.items()])

    def _input(self) -> str:
        data, schedule = self.denoiser.card["data"], self.denoiser.card["schedule"]
        low, high = self.denoiser.intensity["percentiles"]
        size = f"{data['size']} x {data['size']} pixels of {data['pixel_mm']:g} mm"
        return (
            f"- Axial slices, {size}, of co-registered, skull-stripped MRI; channels: "
            f"{', '.join(self.contrasts)}.\n"
            f"- Each volume and contrast is scaled by the {low:g} and {high:g} percentiles of its "
            "brain voxels to [-1, 1]; background is exactly -1.\n"
            f"- Noise schedule: {schedule['kind']}, {schedule['levels']} levels, beta "
            f"{schedule['beta_start']:g} to {schedule['beta_end']:g}.\n"
            f"- The guide reads: {self.guide.card['target']}.\n"
            "- The output is the same slice, same grid and range."
        )

    def _recipe(self) -> str:
        """What a reader looks for, and what is not as usual."""
        spec, usual = asdict(self.sampler), asdict(SamplerSpec())
        told = ", ".join(
            f"`{k}={_setting(v)}`" for k, v in spec.items()
            if k in ("nl", "scale", "encode", "steps") or v != usual[k]
        )  # fmt: skip
        return f"Recommended, and the default of the bundle: {told}."

    def _limits(self) -> str:
        limits = [
            "Slices are drawn one by one and do not see their neighbours.",
            "A guide can be satisfied by a picture in which nothing grew: measure sizes in the "
            "image, and compare with no change and with plain dilation.",
            "Nothing is known about scanners, sequences, ages and diseases that the training data "
            "did not hold.",
        ]
        if self.phantom:
            limits.append("Trained on phantoms, at least in part: see above.")
        return "\n".join(f"- {limit}" for limit in limits)


def _value(value: Any) -> str:
    return "not recorded" if value in (None, "") else str(value)


def _setting(value: Any) -> str:
    """As Hydra reads it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
