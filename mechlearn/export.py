"""Export a trained pair: python -m mechlearn.export format=monai out=exports/mymodel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mechlearn.config.command_line import hydra_command

if TYPE_CHECKING:
    from omegaconf import DictConfig



@hydra_command("export")
def main(cfg: DictConfig) -> None:
    """Write one folder with the weights, their configuration and model card, atomically."""
    from rich.console import Console

    from mechlearn.config import exporting

    folder = exporting.export_models(cfg)
    Console().print(f"{folder}: {cfg.format}", highlight=False, soft_wrap=True, markup=False)


if __name__ == "__main__":
    main()
