"""A fit in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mechlearn.growth.law import Parameter

if TYPE_CHECKING:
    from mechlearn.growth.fit import FitResult

__all__ = ["fit_text"]


def fit_text(result: FitResult) -> str:
    """Law, visits, every parameter with unit, value and remark, and the warnings."""
    problem, values = result.problem, result.parameters
    first, last = problem.origin_day, problem.origin_day + problem.days[-1]
    lines = [
        f"timeline {problem.name}: law {result.law.name}, {problem.days.size} visit(s), "
        f"days {first:g} to {last:g}, {result.n_fitted} parameter(s) fitted"
    ]
    wide = max(len(p.name) for p in result.law.parameters)
    for p in result.law.parameters:
        unit = "mm^2" if p.name == "initial_area" else p.unit
        shown = f"{values[p.name]:.4g} {unit if unit != '1' else ''}".rstrip()
        remark = _remark(result, p)
        lines.append(f"  {p.name:<{wide}}  {shown:<16}  {remark}".rstrip())
    aicc = "undefined (too few visits)" if result.aicc is None else f"{result.aicc:.4g}"
    lines.append(f"  AICc {aicc}; {result.rank} of {result.n_fitted} directions move the residuals")
    lines += [f"  warning: {text}" for text in result.warnings]
    return "\n".join(lines)


def _remark(result: FitResult, p: Parameter) -> str:
    problem = result.problem
    if p.name in problem.fixed:
        return "fixed"
    if p.name in problem.tied:
        return f"= {problem.tied[p.name]}"
    if p.name in problem.held:
        return "held: no visit after the start of radiotherapy"
    if p.name in result.at_bound:
        value = float(result.values[result.law.names.index(p.name)])
        end = "lower" if value - p.low < p.high - value else "upper"
        return f"at its {end} bound"
    return f"in [{p.low:g}, {p.high:g}]" + (" first areas" if p.name == "initial_area" else "")
