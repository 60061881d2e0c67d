"""The W&B dashboard as code: python experiments/dashboard/dashboard.py --entity TEAM.

Needs `pip install "mechlearn[dashboard]"`. `--dry-run` prints the definition and asks nobody.
"""

from __future__ import annotations

import argparse
import json
import sys

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

NAME = "mechlearn"
STEP = "trainer/global_step"

# section -> panels: (title, metrics) over the steps of a training
CURVES = {
    "Training losses": [
        ("loss", ["train/loss"]),
        ("denoiser: MSE of the noise", ["train/mse"]),
        ("denoiser: variational bound, bits per dimension", ["train/vlb_bits_per_dim"]),
        ("guide: error of the tumour fraction", ["train/fraction_mae"]),
        ("learning rate", ["lr-Adam"]),
    ],
    "Losses by noise level": [
        ("denoiser: MSE by quarter of the levels", [f"train/mse_q{i}" for i in range(1, 5)]),
        ("guide: loss by quarter of the levels", [f"train/loss_q{i}" for i in range(1, 5)]),
    ],
    "Validation": [
        ("loss", ["val/loss"]),
        ("denoiser: MSE of the noise", ["val/mse"]),
        ("denoiser: variational bound, bits per dimension", ["val/vlb_bits_per_dim"]),
        ("guide: error of the tumour fraction", ["val/fraction_mae"]),
    ],
    "Throughput": [
        ("images a second, all processes", ["throughput/images_per_s"]),
        ("seconds an optimiser step", ["throughput/step_s"]),
        ("share of the time that data were waited for", ["throughput/data_wait_share"]),
        ("peak GPU memory, GiB", ["throughput/gpu_memory_peak_gib"]),
    ],
}
PREVIEWS = ["previews/slices", "previews/panel"]
# Keys of an evaluation's row.
GRID = ["noise_level", "scale", "ssim_outside", "ssim_inside", "dice_generation",
        "size_error_fraction",
        "ratio_achieved"]  # fmt: skip
HEAT = ["ssim_outside", "size_error_fraction", "dice_generation"]
LONGITUDINAL = [
    ("where: HD95 of the map beside baselines, mm", [
        "hd95_dynamic_mm_median", "hd95_static_mm_median", "hd95_no_change_mm_median",
        "hd95_dilation_forecast_mm_median", "hd95_heat_kernel_mm_median"]),
    ("where: Dice of the map beside baselines", [
        "dice_dynamic_mean", "dice_static_mean", "dice_no_change_mean",
        "dice_dilation_forecast_mean", "dice_heat_kernel_mean"]),
    ("how much: median nRMSE, law and carry-forward", [
        "nrmse_median", "nrmse_carry_forward_median"]),
    ("how much: share of 95% intervals that hold the true size", ["coverage_95"]),
    ("how sure: Brier score", [
        "brier_dynamic_mean", "brier_static_mean", "brier_no_change_mean",
        "brier_heat_kernel_mean"]),
]  # fmt: skip
LEADERBOARD = "evaluation/leaderboard"
TABLES = ["evaluation/row", "evaluation/pairs", "evaluation/slices"]


def logged_keys() -> dict[str, set[str]]:
    """Every key that a panel reads, by the kind of run that must log it."""
    curves = {key for panels in CURVES.values() for _, keys in panels for key in keys}
    scores = {key for _, keys in LONGITUDINAL for key in keys}
    return {"train": curves | set(PREVIEWS), "grid": {*GRID, *HEAT}, "longitudinal": scores}


def _curves(name: str, panels: list[tuple[str, list[str]]]) -> ws.Section:
    plots = [wr.LinePlot(title=title, x=STEP, y=keys) for title, keys in panels]
    return ws.Section(name=name, panels=plots, is_open=name != "Throughput")


def _grid() -> ws.Section:
    heat = [
        wr.ScatterPlot(
            title=f"{key}: noise level against scale", x=wr.SummaryMetric("noise_level"),
            y=wr.SummaryMetric("scale"), z=wr.SummaryMetric(key), log_y=True,
        )
        for key in HEAT
    ]  # fmt: skip
    columns = [wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(key)) for key in GRID]
    panels = [*heat, wr.ParallelCoordinatesPlot(title="every cell of the grid", columns=columns)]
    return ws.Section(name="Grid search", panels=panels, is_open=True)


def _longitudinal() -> ws.Section:
    bars = [wr.BarPlot(title=title, metrics=keys) for title, keys in LONGITUDINAL]
    return ws.Section(name="Longitudinal forecasts", panels=bars, is_open=True)


def build(entity: str, project: str) -> ws.Workspace:
    """The saved view: sections from training to evaluation."""
    previews = ws.Section(
        name="Guided previews", is_open=True,
        panels=[wr.MediaBrowser(title=key, media_keys=[key]) for key in PREVIEWS],
    )  # fmt: skip
    tables = ws.Section(
        name="Evaluation rows", is_open=False,
        panels=[
            wr.MediaBrowser(title="Leaderboard", media_keys=[LEADERBOARD]),
            *(wr.WeavePanelSummaryTable(table_name=key) for key in TABLES),
        ],
    )  # fmt: skip
    curves = [_curves(name, panels) for name, panels in CURVES.items()]
    return ws.Workspace(
        entity=entity, project=project, name=NAME,
        sections=[*curves[:3], previews, curves[3], _grid(), _longitudinal(), tables],
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=50),
    )  # fmt: skip


def as_json(workspace: ws.Workspace) -> str:
    """The definition as W&B stores it."""
    view = workspace._to_model()
    return json.dumps(view.model_dump(mode="json", by_alias=True, exclude_none=True), indent=2)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entity", required=True, help="W&B user or team")
    parser.add_argument("--project", default="mechlearn", help="as logger.project")
    parser.add_argument("--dry-run", action="store_true", help="print the definition as JSON")
    args = parser.parse_args(words)
    workspace = build(args.entity, args.project)
    if args.dry_run:
        sys.stdout.write(as_json(workspace) + "\n")
        return 0
    workspace.save()
    sys.stdout.write(f"{workspace.url}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
