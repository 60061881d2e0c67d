"""Run outside the checkout with one extra installed: what needs no other extra works.

    python extra_alone.py core|report|template|...
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

CORE = (
    "mechlearn", "mechlearn.growth.learned_forecast", "mechlearn.growth.size_forecast",
    "mechlearn.spatial.volume_arrival", "mechlearn.data.manifest", "mechlearn.data.size_table",
    "mechlearn.evaluation.volume_forecast", "mechlearn.config.errors",
)  # fmt: skip
MODULES = {
    "core": CORE,
    "report": ("mechlearn.report.page", "mechlearn.report.style"),
    "template": ("mechlearn.data.template_tissue",),
    "cohorts": ("mechlearn.data.adapters",),
    "diffusion": ("mechlearn.models.checkpoints", "mechlearn.data.store", "mechlearn.phantom"),
    "train": ("mechlearn.config.training", "mechlearn.models.recovery"),
    "bundle": ("fire", "jsonschema"),
    "align": ("mechlearn.data.align", "picsl_greedy"),
    "dicom": ("mechlearn.data.dicom", "highdicom", "dcm2niix"),
    "hub": ("huggingface_hub",),
    "dashboard": ("wandb_workspaces",),
}


def main(extra: str) -> None:
    """Import, and forecast a size, which needs no extra."""
    for name in dict.fromkeys((*CORE, *MODULES[extra])):
        importlib.import_module(name)
    import mechlearn as ml

    table = Path(tempfile.mkdtemp()) / "sizes.csv"
    table.write_text("patient,slice,day,volume_mm3\nP,whole,0,9000\nP,whole,60,11000\n")
    forecast = ml.forecast(ml.Patient.from_csv(table), day=120)
    assert forecast.size.median > 0
    sys.stdout.write(f"{extra}: Python {sys.version.split()[0]}, {len(MODULES[extra])} modules, "
                     f"median {forecast.size.median:.0f} mm3\n")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
