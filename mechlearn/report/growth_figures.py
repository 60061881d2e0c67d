"""Figures of size forecasts: fan charts, scores by patient, growth models and baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechlearn.records import SizeForecast, SizeReading, SizeSeries
from mechlearn.report.fan import SIZES, draw_fan
from mechlearn.report.style import BLACK, CYCLE, GREY, label_axes, new_figure

__all__ = ["Fan", "fans_figure", "laws_figure", "method_labels", "scores_figure"]

Row = Mapping[str, Any]
BASELINES = ("cohort_ratio", "carry_forward", "linear", "exponential")
VISITS = (4, 5, 6, 7)
MARKERS = "os^Dv<>p*X"
COLUMNS = 3


@dataclass(frozen=True)
class Fan:
    """A size forecast with the fitted visits and the held-out visit."""

    timeline: SizeSeries
    forecast: SizeForecast
    truth: SizeReading


def fans_figure(fans: Sequence[Fan], *, unit: str = "mm2", title: str = "") -> Figure:
    """Fan charts of up to six slices, as Fig. 3A of the paper.

    Args:
        fans: forecasts; the first six are drawn.
        unit: unit of the sizes, mm2 or mm3.
        title: title of the figure.
    """
    shown = list(fans)[: 2 * COLUMNS]
    n_rows = max(1, -(-len(shown) // COLUMNS))
    figure = new_figure(12.0, 3.3 * n_rows + 0.8)
    axes = figure.subplots(n_rows, min(COLUMNS, max(1, len(shown))), squeeze=False)
    what, printed = SIZES[unit]
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    for i, fan in enumerate(shown):
        ax = axes.flat[i]
        draw_fan(ax, fan.timeline, fan.forecast, fan.truth, small=True)
        below = i + COLUMNS >= len(shown)  # no chart below this one
        label_axes(ax, x="days since the first visit" if below else "",
                   y=f"tumour {what} ({printed})" if i % COLUMNS == 0 else "")  # fmt: skip
        ax.set_title(fan.forecast.name, loc="left", fontsize=10, fontweight="bold", pad=15)
        ax.text(0, 1.02, _words(fan), transform=ax.transAxes, fontsize=8, va="bottom")
    if shown:
        named = {
            label: handle for ax in axes.flat
            for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }  # fmt: skip
        figure.legend(named.values(), named.keys(), loc="outside lower center",
                      ncols=len(named), fontsize=9, frameon=False)
    if title:
        figure.suptitle(title, fontsize=11, fontweight="bold")
    return figure


def _words(fan: Fan) -> str:
    low, high = fan.forecast.interval()
    median, true = fan.forecast.median, fan.truth.size
    return f"forecast {median:.0f} ({low:.0f} to {high:.0f}), true {true:.0f}"


def scores_figure(tables: Mapping[str, Sequence[Row]], *, title: str = "") -> Figure:
    """Box plots over patients (their slices' medians) of R^2, nRMSE and CRPS, as Fig. 3B.

    Args:
        tables: growth model -> rows of its slices; the baselines are those of the first table.
        title: title of the figure.
    """
    methods = {law: (rows, "") for law, rows in tables.items()}
    first = next(iter(tables.values()))
    known = [b for b in BASELINES if any(f"nrmse_{b}" in row for row in first)]
    methods |= {f"{b} ": (first, f"_{b}") for b in known if b not in tables}
    figure = new_figure(12.0, 1.7 + 0.42 * len(methods))
    axes = figure.subplots(1, 3, sharey=True)
    panels = (
        ("r_squared_all", "R² of the median curve, all visits", -1.0),
        ("nrmse", "nRMSE of the held-out visit", 0.0),
        ("crps_relative", "CRPS over the largest size seen", 0.0),
    )
    for ax, (score, label, lowest) in zip(axes, panels, strict=True):
        values = [_by_patient(rows, score + suffix) for rows, suffix in methods.values()]
        highest = min(2.0, 1.04 * max((v.max() for v in values if v.size), default=1.0))
        for at, (some, (_, suffix)) in enumerate(zip(values, methods.values(), strict=True)):
            _box(ax, at, some, _colour(at, suffix), (lowest, max(highest, 0.1)))
        label_axes(ax, x=label, y="")
        ax.grid(visible=False, axis="y")
    names = [name.strip().replace("_", " ") for name in methods]
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    words = "each point is a patient, the median of its slices"
    figure.suptitle(f"{title}: {words}" if title else words.capitalize(), fontsize=11,
                    fontweight="bold")
    return figure


def _colour(at: int, suffix: str) -> str:
    return GREY if suffix else CYCLE[at % len(CYCLE)]


def _by_patient(rows: Sequence[Row], key: str) -> np.ndarray:
    """Median over the slices of each patient; patients without a value are left out."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        if row.get(key) is not None:
            groups.setdefault(str(row["patient"]), []).append(float(row[key]))
    return np.array([np.median(group) for group in groups.values()])


def _box(ax: Axes, at: int, values: np.ndarray, colour: str, limits: tuple[float, float]) -> None:
    """A horizontal box plot with its points; points beyond the limits are counted at the edge."""
    ax.set_xlim(*limits)
    if not values.size:
        ax.text(sum(limits) / 2, at, "undefined", ha="center", va="center", fontsize=8, color=GREY)
        return
    low, first, middle, third, high = np.percentile(values, [0, 25, 50, 75, 100])
    reach = 1.5 * (third - first)
    low, high = values[values >= first - reach].min(), values[values <= third + reach].max()
    ax.barh(at, third - first, left=first, height=0.55, color=colour, alpha=0.45, linewidth=0)
    ax.plot([low, first], [at, at], color=colour, linewidth=1)
    ax.plot([third, high], [at, at], color=colour, linewidth=1)
    ax.plot([middle, middle], [at - 0.275, at + 0.275], color=BLACK, linewidth=1.8)
    rng = np.random.default_rng(0)  # offsets of the points, without meaning
    ax.plot(values, at + rng.uniform(-0.17, 0.17, values.size), "o", color=BLACK, markersize=2.6,
            alpha=0.55)
    for edge, side, beyond in ((limits[0], "left", values < limits[0]),
                               (limits[1], "right", values > limits[1])):
        if beyond.any():
            ax.text(edge, at - 0.36, f" {beyond.sum()} beyond ", ha=side, va="center", fontsize=7,
                    color=colour)


def method_labels(rows: Sequence[Row]) -> list[str]:
    """A name for each row of a sweep: the growth model, with settings if models repeat."""
    keys = ("population", "data", "split", "cohort", "n_bootstrap", "noise", "noise_model", "seed",
            "cell")  # fmt: skip
    names = []
    for row in rows:
        alike = [r for r in rows if r["law"] == row["law"]]
        apart: list[str] = []
        for key in keys:
            if len({str(r.get(key)) for r in alike}) > 1:
                apart.append(f"{key}={row.get(key)}")
                alike = [r for r in alike if str(r.get(key)) == str(row.get(key))]
        names.append(" ".join([str(row["law"]), *apart]))
    return names


def laws_figure(rows: Sequence[Row]) -> Figure:
    """nRMSE, coverage and CRPS by growth model with 95% intervals, and nRMSE by number of visits.

    Args:
        rows: one a growth model, of `evaluation.growth_fits`; the baselines are those of the row
            with most forecast slices.
    """
    methods = [
        (name + (f"\n({row['n_skipped']} skipped)" if row.get("n_skipped") else ""), row, "")
        for name, row in zip(method_labels(rows), rows, strict=True)
    ]
    plain = {r["law"] for r in rows if r.get("population") is None}
    fullest = max(rows, key=lambda row: row["n_slices"])
    known = [b for b in BASELINES if any(key.endswith(f"_{b}") for key in fullest)]
    methods += [(b, fullest, f"_{b}") for b in known if b not in plain]
    figure = new_figure(12.5, 4.6 + 0.5 * len(methods))
    top, below = (np.asarray(figure.subfigures(
        2, 1, height_ratios=[1.2 + 0.34 * len(methods), 3.4]), object))
    axes = top.subplots(1, 3, sharey=True)
    panels = (
        ("nrmse_median", "nrmse", "median nRMSE of the held-out visit"),
        ("crps_relative_mean", "crps_relative", "mean CRPS over the largest size seen"),
        ("coverage_95", "covered", "share of 95% intervals that contain the truth"),
    )
    for ax, (key, score, label) in zip(axes, panels, strict=True):
        for at, (_, row, suffix) in enumerate(methods):
            # A cohort forecast also gives its baselines an interval.
            beside = f"compared_{score}{suffix}"
            cohort = bool(suffix) and beside in row
            _interval(ax, at, row, beside if cohort else key, "" if cohort else suffix, suffix)
        label_axes(ax, x=label, y="")
        ax.set_xlim(left=0)
    axes[2].set_xlim(0, 1.02)
    axes[2].axvline(0.95, color=BLACK, linestyle="--", linewidth=1)
    axes[0].set_yticks(range(len(methods)), [name.replace("_", " ") for name, *_ in methods])
    axes[0].set_ylim(len(methods) - 0.5, -0.5)
    _visits(below.subplots(), methods, fullest)
    figure.suptitle(
        f"Growth models on {fullest['n_slices']} slices of {fullest['n_patients']} patients "
        "(bars: 95% intervals, patients resampled)", fontsize=11, fontweight="bold",
    )  # fmt: skip
    return figure


def _interval(ax: Axes, at: int, row: Row, key: str, suffix: str, baseline: str) -> None:
    middle, low, high = (row.get(f"{key}{end}{suffix}") for end in ("", "_low", "_high"))
    if middle is None:
        return
    colour = _colour(at, baseline)
    ax.plot([low if low is not None else middle, high if high is not None else middle], [at, at],
            color=colour, linewidth=2)
    ax.plot(middle, at, MARKERS[at % len(MARKERS)], color=colour, markersize=7)


def _visits(ax: Axes, methods: Sequence[tuple[str, Row, str]], fullest: Row) -> None:
    shown = [n for n in VISITS if fullest.get(f"n_slices_v{n}")]
    styles = iter((":", "--", "-."))
    for at, (name, row, suffix) in enumerate(methods):
        values = [row.get(f"nrmse_median_v{n}{suffix}") for n in shown]
        if all(value is None for value in values):
            continue
        ax.plot(range(len(shown)), [np.nan if v is None else v for v in values],
                marker=MARKERS[at % len(MARKERS)], color=_colour(at, suffix),
                linestyle=next(styles) if suffix else "-",
                label=name.split("\n")[0].replace("_", " "))
    counts = [f"{n} visits\n({fullest[f'n_slices_v{n}']} slices)" for n in shown]
    ax.set_xticks(range(len(shown)), counts)
    label_axes(ax, x="", y="median nRMSE", title="By number of visits, the held-out one included")
    ax.set_ylim(bottom=0)
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
