"""A trained pair to pass on: python -m mechlearn.export format=monai out=exports/mymodel."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig
from rich.console import Console

from mechlearn.config import errors, exporting, recipes, schema

schema.register()


@hydra.main(version_base="1.3", config_path=recipes.conf_dir(), config_name="export")
@errors.clear_errors
def main(cfg: DictConfig) -> None:
    """One folder with the weights and all that describes them; complete or not there at all."""
    folder = exporting.export_models(cfg)
    Console().print(f"{folder}: {cfg.format}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
