"""One patient to a day: python -m mechlearn.forecast patient=visits.csv day=120."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mechlearn.config.command_line import hydra_command

if TYPE_CHECKING:
    from omegaconf import DictConfig



@hydra_command("forecast")
def main(cfg: DictConfig) -> None:
    """NIfTI growth map and masks, one HTML page and row.json in the output folder."""
    from mechlearn.config import volume_forecasting

    if volume_forecasting.forecast_mode(cfg) == "volume":
        volume_forecasting.forecast_and_show(cfg)
    else:
        from mechlearn.config import forecasting

        forecasting.forecast_and_show(cfg)


if __name__ == "__main__":
    main()
