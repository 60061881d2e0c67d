"""Text of the README of an exported pair."""

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
    "Research on tumour growth forecasting: generating axial MRI slices of a brain with another "
    "tumour size."
)
PAPER = (
    "Laslo et al., *Mechanistic Learning with Guided Diffusion Models to Predict Spatio-Temporal "
    "Brain Tumor Growth*"
)


@dataclass(frozen=True)
class Pair:
    """Two models, and the texts of an export in addition to their cards."""

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
            f"Guided diffusion that generates an axial brain MRI slice "
            f"({', '.join(self.contrasts)}) with another tumour size and the same anatomy."
        )

    def source(self, model: LoadedModel) -> str:
        """Training data of a model: from its card, or from the export's settings."""
        return str(model.card.get("trained_on") or self.trained_on or "not recorded")

    @property
    def sources(self) -> list[str]:
        """Training data of both models, without duplicates."""
        return list(dict.fromkeys(self.source(m) for m in (self.denoiser, self.guide)))

    @property
    def phantom(self) -> bool:
        """Whether a description of training data names phantoms."""
        return any("phantom" in source.lower() for source in self.sources)

    def sections(self, usage: str) -> str:
        """Markdown sections: summary, models, input, sampler, use, limits, citation."""
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
            "**Trained on phantoms**: simulated tumours on template anatomy. Images of patients by "
            "this model demonstrate the code and are not evidence about a patient."
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
        """The main settings of the sampler, and settings that differ from the defaults."""
        spec, usual = asdict(self.sampler), asdict(SamplerSpec())
        shown = ", ".join(
            f"`{k}={_setting(v)}`" for k, v in spec.items()
            if k in ("nl", "scale", "encode", "steps") or v != usual[k]
        )  # fmt: skip
        return f"Recommended, and the default of the bundle: {shown}."

    def _limits(self) -> str:
        limits = [
            "Each slice is generated independently of its neighbours.",
            "The guide's prediction can reach the target although the tumour did not grow: measure "
            "sizes in the image, and compare with no change and with dilation.",
            "The models were not tested on scanners, sequences, ages and diseases that are not in "
            "the training data.",
        ]
        if self.phantom:
            limits.append("Trained on phantoms, at least in part: see above.")
        return "\n".join(f"- {limit}" for limit in limits)


def _value(value: Any) -> str:
    return "not recorded" if value in (None, "") else str(value)


def _setting(value: Any) -> str:
    """A value in Hydra's syntax."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
