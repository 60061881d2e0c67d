"""The table at the end of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from mechlearn.report.row_table import row_table


def printed(row: dict, **options: Sequence[str]) -> list[str]:
    console = Console(width=100)
    with console.capture() as kept:
        console.print(row_table(row, **options))
    return [line.strip() for line in kept.get().splitlines() if line.strip()]


def test_words_come_before_numbers() -> None:
    lines = printed({"crps_mm2": 12.34567, "law": "ode", "n_slices": 3})
    assert [line.split() for line in lines] == [
        ["law", "ode"], ["crps_mm2", "12.35"], ["n_slices", "3"]
    ]  # fmt: skip


def test_undefined_value_stands_with_its_reason() -> None:
    lines = printed({"rho": None, "rho_reason": "one slice", "gap": None})
    assert [line.split(maxsplit=1) for line in lines] == [["rho", "- (one slice)"], ["gap", "-"]]


def test_hidden_keys_and_markup_in_values() -> None:
    lines = printed({"fingerprint": "x", "law": "[bold]"}, hidden=("fingerprint",))
    assert [line.split() for line in lines] == [["law", "[bold]"]]


def test_baselines_stand_beside_the_score_they_share() -> None:
    row = {"law": "ode", "crps_mm3": 1.0, "crps_linear_mm3": 2.0, "nrmse": 0.25,
           "nrmse_linear": 0.5, "nrmse_vs_linear_p": 0.04}  # fmt: skip
    lines = printed(row, methods=("carry_forward", "linear"))
    assert [line.split() for line in lines] == [
        ["ode", "linear"], ["law", "ode"], ["crps_mm3", "1", "2"], ["nrmse", "0.25", "0.5"],
        ["nrmse_vs_linear_p", "0.04"],
    ]  # fmt: skip


def test_an_interval_stands_behind_its_value() -> None:
    lines = printed({"gain": 0.5, "gain_low": 0.25, "gain_high": 0.75, "other_low": 1.0})
    assert [line.split(maxsplit=1) for line in lines] == [
        ["gain", "0.5 [0.25, 0.75]"], ["other_low", "1"]
    ]  # fmt: skip
