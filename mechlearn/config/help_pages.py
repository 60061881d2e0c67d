"""The short help page of each command: purpose, three examples, the most important keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["HELP", "HelpPage", "help_text"]


@dataclass(frozen=True)
class HelpPage:
    """One command: `does` in a sentence or two, example overrides, key -> meaning."""

    does: str
    examples: Sequence[str]
    keys: Mapping[str, str]


HELP: Mapping[str, HelpPage] = {
    "prepare": HelpPage(
        "Turn NIfTI visits into a store of slices, or examine them (mode=check) without writing.",
        (
            "data=brats data.root=/data/BraTS2023",
            "data=brats data.root=/data/BraTS2023 mode=check",
            "data=manifest data.manifest=visits.csv data.prepare.size=128",
        ),
        {
            "data": "data set: brats, lumiere, ucsf_alptdg, ..., manifest, phantom",
            "data.root": "folder of the data set, or several: [/data/GLI,/data/PED]",
            "data.manifest": "CSV of your own files, with data=manifest",
            "mode": "prepare, or check: only report errors in the files",
            "skip": "check.json of a check: leave out its bad visits",
            "align": "folder: only co-register the visits of data.manifest into it",
            "strip, segment": "folder: only run your program (command=) on each visit",
            "data.prepare.size": "pixels along each side of a slice (256)",
            "data.prepare.pixel_mm": "size of a pixel in mm (1.0)",
            "data.label_scheme": "meaning of the labels, where the data set does not define it",
            "data.workers": "number of processes",
            "data.name": "name of the store",
        },
    ),
    "train": HelpPage(
        "Train a denoiser, a regressor or a segmenter on prepared slices.",
        (
            "+experiment=ddpm_brats",
            "+experiment=segmenter_brats trainer=ddp",
            "+experiment=ddpm_phantom resume=auto",
        ),
        {
            "+experiment": "recipe: ddpm_brats, regressor_brats, segmenter_brats, ..._phantom",
            "data": "data set to train on",
            "trainer": "default, or ddp for several GPUs",
            "trainer.max_steps": "training steps",
            "data.loader.batch_size": "slices per process and step",
            "optimizer.lr": "learning rate",
            "resume": "auto: the newest checkpoint of this experiment; or a path",
            "init": "checkpoint whose weights training starts from",
            "logger": "csv or wandb (logger.offline=true needs no account)",
            "name": "name of the run's folder and group",
        },
    ),
    "evaluate": HelpPage(
        "Score models or growth models; with -m every combination of comma-separated values.",
        (
            "-m +experiment=grid_search sampler.nl=100,200,500 sampler.scale=10k,50k",
            "-m +experiment=growth_fits task.series=sizes.csv growth=ode,gompertz,pooled",
            "+experiment=sizes",
        ),
        {
            "+experiment": "grid_search, longitudinal, sizes, growth_fits, population, guide_gain",
            "task.split": "train, val or test patients",
            "task.patients": "number of patients (the first N)",
            "task.series": "CSV of tumour sizes (growth_fits, population)",
            "sampler": "labels, fast or paper",
            "sampler.nl": "noise level that a scan is encoded to (200)",
            "sampler.scale": "guidance scale on the paper's scale (50k)",
            "growth": "growth model: pooled, ode, gompertz, ...",
            "checkpoints.denoiser": "checkpoint or exported folder; demo: packaged",
            "hydra.sweep.dir": "folder of a sweep; the same command resumes it",
        },
    ),
    "forecast": HelpPage(
        "Forecast how much and where a patient's tumour grows: volume with interval, 3D growth "
        "map, masks, one HTML page.",
        (
            "patient=visits.csv day=120",
            "patient=BraTS2021_00006 day=+60",
            "+experiment=demo",
        ),
        {
            "patient": "CSV of visits or of volumes, or the folder of one visit",
            "patient_id": "patient of the CSV, if it has several",
            "day": "120, +60 (after the last visit), a date, or several; null: last visit held out",
            "mode": "volume (3D, no drawing), slices (the paper's), auto",
            "prior": "prior of sizes from other patients: auto, or your own file",
            "where": "order of growth: auto, travel or distance",
            "draw": "number of generated slices (3); 0 for none",
            "what_if.rt_start_day": "counterfactual start of radiotherapy; what_if.rt=false: none",
            "growth": "growth model of what_if and of mode=slices",
            "sampler": "sampler of mode=slices",
            "seed": "of the bootstrap and of generated scans",
            "--quiet, --json": "print only warnings, or only result.json (mode=volume)",
        },
    ),
    "export": HelpPage(
        "Export a trained pair as a folder: safetensors, MONAI bundle, Hugging Face.",
        (
            "checkpoints.denoiser=ddpm.pt checkpoints.guide=segmenter.pt out=exports/mymodel",
            "format=monai out=exports/bundle",
            "format=huggingface half=true out=exports/hub",
        ),
        {
            "checkpoints.denoiser": "checkpoint; demo: packaged",
            "checkpoints.guide": "checkpoint; demo: packaged",
            "format": "safetensors, monai or huggingface",
            "out": "folder to write",
            "overwrite": "replace an older export",
            "half": "store float16",
            "name": "name of the model",
            "description": "description for its card",
            "license": "license of the weights",
            "guide": "packaged guide: segmenter or regressor",
        },
    ),
}


def help_text(name: str) -> str:
    """The help page of one command as text."""
    page = HELP[name]
    wide = max(map(len, page.keys))
    return "\n".join(
        [
            f"mechlearn {name}: {page.does}",
            "",
            "Examples:",
            *(f"  python -m mechlearn.{name} {words}" for words in page.examples),
            "",
            "Keys (KEY=VALUE):",
            *(f"  {key:<{wide}}  {meaning}" for key, meaning in page.keys.items()),
            "",
            "--help all lists every key and recipe; --cfg job prints the composed configuration.",
            "",
        ]
    )
