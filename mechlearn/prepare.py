"""NIfTI -> slice store: python -m mechlearn.prepare data=brats data.root=/data/BraTS2023.

With mode=check nothing is written: every visit is checked; the exit status is 1 after an error.
With align=FOLDER the visits of a table are co-registered into that folder, with strip=FOLDER a
program of the user makes brain masks of them, and with segment=FOLDER such a program or the
packaged segmenter makes segmentations.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mechlearn.config.command_line import hydra_command

if TYPE_CHECKING:
    from omegaconf import DictConfig



@hydra_command("prepare")
def main(cfg: DictConfig) -> None:
    """Make or complete the store of `cfg.data` (finished visits are kept), or check its source.

    Raises:
        SystemExit: mode=check found an error.
    """
    from rich.console import Console

    from mechlearn.checks import one_of
    from mechlearn.config import check_mode, stores

    if cfg.align is not None:
        from mechlearn.config.aligning import align

        align(cfg)
        return
    if cfg.segment is not None and cfg.strip is None and cfg.command is None:
        from mechlearn.config.segmenting import segment

        segment(cfg)
        return
    if cfg.strip is not None or cfg.segment is not None:
        from mechlearn.config.user_programs import run_user_program

        run_user_program(cfg)
        return
    if one_of("mode", cfg.mode, check_mode.MODES) == "check":
        if status := check_mode.check(cfg):
            sys.exit(status)
        return
    store = stores.make_store(cfg, skip=check_mode.bad_visits(cfg))
    counts = {s: (len(store.patients(s)), len(store.slices(s))) for s in ("train", "val", "test")}
    words = ", ".join(f"{s} {p} patients and {n} slices" for s, (p, n) in counts.items())
    Console().print(f"{store.root}: {words}", highlight=False, markup=False)


if __name__ == "__main__":
    main()
