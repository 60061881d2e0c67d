"""Turn a fitted size prior into the packaged one of a compartment: name, source, `packaged`.

    python experiments/sizes_real/package_prior.py outputs/.../population.json flair
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import mechlearn
from mechlearn.growth.size_prior import USUAL_ZERO, SizePrior

SOURCE = "MU-Glioma-Post, The Cancer Imaging Archive, CC BY 4.0, doi:10.7937/7k9k-3c83"


def main(path: str, compartment: str) -> None:
    prior = SizePrior.load(path)
    known = {k: v for k, v in prior.about.items() if k.startswith("n_")}
    about = {
        "cohort": f"gliomas after treatment (MU-Glioma-Post, {compartment} volumes)",
        **known, "source": SOURCE, "packaged": True, "version": mechlearn.__version__,
    }  # fmt: skip
    # How often a zero stays hangs on who measured: MU-Glioma-Post's share did not transfer.
    prior = replace(prior, zero_stays=USUAL_ZERO)
    folder = Path(mechlearn.__file__).parent / "growth" / "size_priors"
    replace(prior, about=about).save(folder / f"{compartment}.json")


if __name__ == "__main__":
    main(*sys.argv[1:])
