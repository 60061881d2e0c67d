"""Train a denoiser or a guide: python -m mechlearn.train +experiment=ddpm_phantom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mechlearn.config.command_line import hydra_command

if TYPE_CHECKING:
    from omegaconf import DictConfig



@hydra_command("train")
def main(cfg: DictConfig) -> None:
    """One training run; writes checkpoints, metrics, model.pt and row.json into its folder."""
    from mechlearn.config.training import train_model

    train_model(cfg)


if __name__ == "__main__":
    main()
