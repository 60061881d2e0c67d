"""Score the models: python -m mechlearn.evaluate -m +experiment=grid_search sampler.nl=100,200."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mechlearn.config.command_line import hydra_command

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hydra_command("evaluate")
def main(cfg: DictConfig) -> list[float]:
    """One job, one row.json in its output folder and one table on the terminal.

    Cheap checks come first. A job that has already finished in the same folder with the same
    settings and code is not run again; its table is printed. Returns the row's values of
    `objectives`, for a sweeper.
    """
    from mechlearn.config.evaluating import evaluate_and_show

    return evaluate_and_show(cfg)


if __name__ == "__main__":
    main()
