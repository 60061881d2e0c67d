"""The folder of the recipes (`conf/`): in an installed wheel, or in a checkout."""

from __future__ import annotations

from pathlib import Path

import mechlearn

__all__ = ["conf_dir"]


def conf_dir() -> str:
    """Absolute path of the recipes: the wheel's copy first, then the checkout's `conf/`.

    Raises:
        FileNotFoundError: neither exists.
    """
    package = Path(mechlearn.__file__).resolve().parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return str(folder)
    raise FileNotFoundError(
        f"no recipes in {package / 'conf'} nor in {package.parent / 'conf'}. "
        "Install the wheel again, or work in a complete checkout."
    )
