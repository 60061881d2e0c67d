"""Boards and figures of growth maps: longitudinal jobs of validation and test patients, joined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mechlearn.evaluation.map_cases import MapCase, joined_cases, read_cases
from mechlearn.evaluation.map_comparison import MapScores, choose, score_maps
from mechlearn.evaluation.map_summary import OURS, REFERENCE, gains, method_lines
from mechlearn.evaluation.rows import Row, write_table
from mechlearn.evaluation.sweeps import swept_words
from mechlearn.report.leaderboard import Board, Column
from mechlearn.report.map_figures import (
    MapSheet,
    distance_figure,
    map_name,
    maps_figure,
    progression_figure,
)
from mechlearn.report.style import save

__all__ = ["CHOICE", "map_boards", "method_boards"]

N_SHEETS = 4
CHOICE = (
    "Thresholds (nearest to 0.5 of those within a standard error of the least mean HD95) and "
    "recalibration (isotonic)"
)
METHODS = (
    Column("hd95_mm", "HD95, mm", False, 2),
    Column("dice", "Dice", True),
    Column("hd95_alone_mm", "HD95 of the map alone, mm", False, 2),
    Column("dice_alone", "Dice of the map alone", True),
    Column("average_precision", "average precision", True),
)
PROBABILITIES = (
    Column("brier", "Brier score", False, 4),
    Column("brier_skill", "Brier skill over dilation", True),
    Column("ece", "calibration error", False, 4),
    Column("threshold", "threshold", None, 2),
    Column("threshold_alone", "threshold, map alone", None, 2),
)
TESTS = (
    Column("hd95_mm_vs_no_change_median", "HD95 less no change, median, mm", False, 2),
    Column("hd95_mm_vs_no_change_p_slices", "p over slices", None, 4),
    Column("hd95_mm_vs_no_change_p_patients", "p over patients", None, 4),
)
GAINS = (
    Column("hd95_mm_gain", "nearer in HD95, mm", None, 2),
    Column("hd95_mm_gain_p_patients", "p over patients", None, 4),
    Column("dice_gain", "gain in Dice", None, 3),
    Column("average_precision_gain", "gain in average precision", None, 3),
)


def map_boards(
    rows: Sequence[Row], folder: Path, out_dir: Path
) -> tuple[list[Board], list[Path]]:
    """Boards and figures of longitudinal jobs; also writes `maps.csv` and `maps_methods.csv`.

    Jobs of `split=val` give thresholds and recalibration of the others. Without them the threshold
    is 0.5 and probabilities are not recalibrated; the page states this.

    Args:
        rows: collected rows, with `cell`, `split` and `guidance`.
        folder: of the jobs.
        out_dir: receives tables and figures.
    """
    chosen, _ = _cases([r for r in rows if r.get("split") == "val"], folder)
    scored = [r for r in rows if r.get("split") != "val"] or list(rows)
    cases, lacking = _cases(scored, folder)
    if not cases:
        return [], []
    choices = choose(chosen) if len(scored) < len(rows) else {}
    scores = score_maps(cases, choices)
    lines = method_lines(scores)
    write_table(out_dir / "maps.csv", scores.rows, first=("slice_id", "patient", "method"))
    write_table(out_dir / "maps_methods.csv", lines, first=("method",))
    found = gains(scores)
    write_table(out_dir / "maps_gains.csv", found, first=("method",))
    counts = f"{lines[0]['n_slices']} slices of {lines[0]['n_patients']} patients"
    if lacking:
        counts += f"; {lacking} slices left out that some job lacks"
    validation = len({case.patient for case in chosen})
    how = (
        f"{CHOICE} come from {len(chosen)} slices of {validation} validation patients."
        if choices else
        "No validation patients: threshold 0.5, no recalibration. Add the jobs of "
        "task.split=val."
    )  # fmt: skip
    how = f"{how} All methods get the same forecast sizes; static maps alone know the true size."
    return method_boards(lines, found, counts, how), _pictures(cases, scores, out_dir)


def _cases(rows: Sequence[Row], folder: Path) -> tuple[list[MapCase], int]:
    jobs = [
        list(read_cases(folder / r["cell"], suffix=_suffix(r, rows), drawn_only=not _growth(rows)))
        for r in rows
    ]
    jobs = [job for job in jobs if job]
    return joined_cases(jobs) if jobs else ([], 0)


def _suffix(row: Row, rows: Sequence[Row]) -> str:
    """Suffix of the map names of a job, to distinguish them from those of other jobs.

    The guidance (empty for that of the paper) if jobs differ in it, otherwise the swept overrides.
    """
    guidances = [str(r.get("guidance", "paper")) for r in rows]
    if len(set(guidances)) == len(guidances):
        own = str(row.get("guidance", "paper"))
        return "" if own == "paper" else f"_{own}"
    return f" ({swept_words(row, rows)})"


def _growth(rows: Sequence[Row]) -> bool:
    """Whether jobs differ in their size forecasts, and therefore in their baselines."""
    return len({(str(r.get("law")), str(r.get("population"))) for r in rows}) > 1


def method_boards(
    lines: Sequence[Row], found: Sequence[Row], counts: str, how: str
) -> list[Board]:
    """Tables of growth maps: scores, probabilities, tests against no change, gains.

    Args:
        lines: from `map_summary.method_lines`.
        found: from `map_summary.gains`.
        counts: text with the numbers of cases and patients.
        how: sentence about the choice of thresholds and recalibration.
    """
    named = [{**line, "method": map_name(str(line["method"]))} for line in lines]
    against = [{**line, "method": f"{map_name(OURS)} over {map_name(str(line['method']))}"}
               for line in found]  # fmt: skip
    interval = f"{counts}; 95% intervals resample patients."
    return [
        Board("Growth maps against the held-out visit", METHODS, named,
              f"{interval} An empty mask counts as the longest distance in the brain.", [how]),
        Board("Probabilities", PROBABILITIES, named,
              f"{interval} Pixels of the brain outside the initial tumour; skill over "
              f"{map_name(REFERENCE)}."),
        Board("Against no change", TESTS, [r for r in named if r.get(TESTS[0].key) is not None],
              "Wilcoxon signed rank, over slices as in the paper and over patients' medians; an "
              "empty mask is the worst case."),
        Board(f"{map_name(OURS).capitalize()} against each method", GAINS, against,
              "Paired differences, 95% intervals resample patients; above 0 it is better."),
    ]  # fmt: skip


def _pictures(cases: Sequence[MapCase], scores: MapScores, folder: Path) -> list[Path]:
    """Figures of up to four patients, with the slice of each that grows most."""
    best: dict[str, MapCase] = {}
    for case in cases:
        other = best.get(case.patient)
        if other is None or case.truth.sum() > other.truth.sum():
            best[case.patient] = case
    every = max(1, len(best) // N_SHEETS)
    shown = [c for c in list(best.values())[::every] if c.progression][:N_SHEETS]
    methods = scores.methods
    values, alone = (
        {m: [r[key] for r in scores.of(m)] for m in methods} for key in ("hd95_mm", "hd95_alone_mm")
    )
    sheets = [_sheet(case, min(case.progression)) for case in shown]
    drawn = {
        "fig4_progression": progression_figure(sheets),
        "fig4_maps": maps_figure(sheets, [m for m in methods if m != "no_change"]),
        "fig4_hd95": distance_figure(values, alone),
    }
    return [save(figure, folder / f"{name}.png") for name, figure in drawn.items()]


def _sheet(case: MapCase, method: str) -> MapSheet:
    drawn = case.progression[method]
    rows, columns = case.spacing_mm
    return MapSheet(case.name, case.scan, case.follow_up, case.initial, case.truth, case.brain,
                    case.maps, drawn.images, drawn.areas_mm2, rows * columns)  # fmt: skip
