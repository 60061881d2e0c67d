"""The runner by itself, with an evaluation made for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from mechlearn.evaluation.rows import read_table
from mechlearn.evaluation.runner import Evaluation, Scored, run


@dataclass(frozen=True)
class Case:
    slice_id: str
    patient: str
    value: float


CASES = [Case("a/1", "a", 1.0), Case("a/2", "a", 3.0), Case("b/1", "b", 5.0)]


@pytest.fixture
def scored():
    """Names of the cases that were scored, in order."""
    return []


@pytest.fixture
def doubling(scored):
    """Doubles a value; negative ones cannot be scored."""
    def score(job, case):
        scored.append(case.slice_id)
        if case.value < 0:
            raise ValueError("value is negative")
        return Scored([{"double": 2 * case.value}], {"twice": np.full(2, case.value)})
    return Evaluation(lambda job: CASES, score)


def test_a_row_has_counts_and_means_with_intervals_over_patients(doubling, job):
    row = run(doubling, job())
    assert (row["job"], row["n_cases"], row["n_patients"], row["n_skipped"]) == ("test", 3, 2, 0)
    assert row["double_mean"] == pytest.approx(6.0)
    assert (row["double_mean_low"], row["double_mean_high"]) == (4.0, 10.0)


def test_every_case_is_a_line_of_the_table(doubling, job, tmp_path):
    run(doubling, job())
    lines = read_table(tmp_path / "cases.csv")
    assert [(r["slice_id"], r["patient"], r["double"]) for r in lines] == [
        ("a/1", "a", 2.0), ("a/2", "a", 6.0), ("b/1", "b", 10.0)]


def test_finished_cases_are_not_scored_again(doubling, job, scored):
    first = run(doubling, job())
    assert run(doubling, job()) == first
    assert scored == ["a/1", "a/2", "b/1"]


def test_finished_cases_are_scored_again_where_asked(doubling, job, scored):
    run(doubling, job())
    run(doubling, job(), rerun=True)
    assert len(scored) == 6


@pytest.mark.parametrize(("task", "again"), [({"multiples": [2.0]}, 3), ({"patients": 1}, 0)])
def test_a_setting_that_scores_otherwise_counts_and_a_choice_of_cases_does_not(
    doubling, job, scored, task, again
):
    run(doubling, job())
    run(doubling, job(**task))
    assert len(scored) == 3 + again


def test_a_case_whose_data_changed_is_scored_again(doubling, job, scored):
    run(doubling, job())
    run(doubling, job(), [CASES[0], Case("a/2", "a", 4.0), CASES[2]])
    assert scored[3:] == ["a/2"]


def test_a_case_that_fails_is_counted_with_its_reason(doubling, job, tmp_path):
    row = run(doubling, job(), [*CASES, Case("c/1", "c", -1.0)])
    assert (row["n_cases"], row["n_skipped"], row["n_patients"]) == (4, 1, 2)
    assert read_table(tmp_path / "cases.csv")[-1]["skipped"] == "value is negative"


def test_nothing_scored_is_an_error_with_the_first_reason(doubling, job):
    with pytest.raises(ValueError, match=r"none of 1 cases .* c/1: value is negative"):
        run(doubling, job(), [Case("c/1", "c", -1.0)])


def test_an_error_that_is_no_fault_of_the_case_stops_the_run(job):
    def broken(job, case):
        raise KeyError("typo")

    with pytest.raises(KeyError):
        run(Evaluation(lambda job: CASES, broken), job())


def test_arrays_of_finished_cases_are_there_for_the_summary(doubling, job):
    seen = []

    def watch(job, done):
        seen.append([kept["twice"][0] for kept in done.arrays()])
        return {}

    watched = Evaluation(doubling.cases, doubling.score, watch)
    for _ in range(2):
        run(watched, job())
    assert seen == [[1.0, 3.0, 5.0]] * 2


def test_two_cases_of_one_name_are_refused(doubling, job):
    with pytest.raises(ValueError, match="two cases are called a/1"):
        run(doubling, job(), [CASES[0], CASES[0]])
