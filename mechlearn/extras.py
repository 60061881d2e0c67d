"""The extra of `pip install` that provides a missing package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["EXTRA_OF", "explained", "missing_extra"]

EXTRA_OF: Mapping[str, str] = {
    **dict.fromkeys(("jinja2", "matplotlib"), "report"),
    "nilearn": "template",
    "openpyxl": "cohorts",
    **dict.fromkeys(
        ("PIL", "blosc2", "einops", "monai", "safetensors", "torch", "torchmetrics", "xxhash"),
        "diffusion",
    ),
    **dict.fromkeys(("pytorch_lightning", "wandb"), "train"),
    **dict.fromkeys(("dcm2niix", "highdicom", "pydicom"), "dicom"),
    **dict.fromkeys(("SimpleITK", "picsl_greedy"), "align"),
    "huggingface_hub": "hub",
    "fire": "bundle",
}


def missing_extra(error: ImportError) -> str | None:
    """One line with the install command for a failed import; None for a package of no extra.

    Example:
        >>> missing_extra(ModuleNotFoundError("No module named 'torch'", name="torch"))
        "torch is not installed; this needs it: pip install 'mechlearn[diffusion]'"
    """
    name = (error.name or "").split(".")[0]
    if name not in EXTRA_OF:
        return None
    return f"{name} is not installed; this needs it: pip install 'mechlearn[{EXTRA_OF[name]}]'"


@contextmanager
def explained() -> Iterator[None]:
    """Add the install command to the error of a failed import inside this context.

    Raises:
        ModuleNotFoundError: with the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (text := missing_extra(error)) is None:
            raise
        raise ModuleNotFoundError(text, name=error.name) from error
