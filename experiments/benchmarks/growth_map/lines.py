"""The option table: what each option of the sampler saves and what it does to the map."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from cases import Case, Models, Recipe, nodes_of
from sampling import Sampled, full_spec, ours

from mechlearn.diffusion.sampler_spec import SamplerSpec

__all__ = ["LINES", "Line", "draw"]


@dataclass(frozen=True)
class Line:
    """One setting: the full run with these options instead."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    nodes: int | None = None

    def spec(self, recipe: Recipe) -> SamplerSpec:
        return replace(full_spec(recipe.sampler), **self.options)


def _on_base(name: str, *, steps: int = 20, nodes: int = 9, **options: Any) -> Line:
    """On top of strided levels and quantile nodes."""
    given = {"steps": steps, "invert_iterations": 3, **options}
    return Line(name, given, nodes)


ALONE = (
    Line("nodes 9", {}, 9),
    *(Line(f"steps {n}", {"steps": n, "invert_iterations": 3}) for n in (20, 10)),
    Line("steps 20, invert_iterations 1", {"steps": 20}),
)
TOGETHER = (
    _on_base("20 steps, 9 nodes"),
    _on_base("20 steps, 17 nodes", nodes=17),
    _on_base("20 steps, 33 nodes", nodes=33),
    _on_base("20 steps, 13 nodes", nodes=13),
    _on_base("20 steps, 5 nodes", nodes=5),
    _on_base("10 steps, 9 nodes", steps=10),
    _on_base("10 steps, 17 nodes", steps=10, nodes=17),
    _on_base("invert_iterations 1", invert_iterations=1),
    _on_base("invert_iterations 2", invert_iterations=2),
    _on_base("anchor", anchor=True, invert_iterations=1),
    _on_base("anchor, 10 steps", anchor=True, invert_iterations=1, steps=10),
    _on_base("dpmpp_2m", solver="dpmpp_2m"),
    _on_base("dpmpp_2m, 10 steps", solver="dpmpp_2m", steps=10),
    _on_base("dpmpp_2m, 6 steps", solver="dpmpp_2m", steps=6),
    _on_base("dpmpp_2m, anchor", solver="dpmpp_2m", anchor=True, invert_iterations=1),
    _on_base("dpmpp_2m, bf16", solver="dpmpp_2m", precision="bf16"),
    _on_base("bf16", precision="bf16"),
    _on_base("batch 1", batch_size=1),
)
# What `fast` is chosen from: second order, by steps, passes and nodes.
CHOICE = tuple(
    _on_base(f"dpmpp_2m, {steps} steps, {passes} passes, {nodes} nodes", solver="dpmpp_2m",
             steps=steps, invert_iterations=passes, nodes=nodes)
    for steps, passes, nodes in (
        (10, 3, 17), (14, 3, 17), (20, 1, 17), (20, 2, 17), (20, 3, 17), (20, 3, 25), (20, 3, 33),
        (30, 2, 17), (30, 2, 25), (40, 1, 17), (40, 2, 17), (40, 2, 33),
    )
)  # fmt: skip
LINES = (*ALONE, *TOGETHER, *CHOICE)


def draw(line: Line, models: Models, case: Case, recipe: Recipe, device: str) -> Sampled:
    """The line's generations of one slice."""
    targets = nodes_of(case.targets[0], line.nodes)
    return ours(models, case.reference, targets, line.spec(recipe), device=device)
