"""Several prepared slice stores as one, to train on all of them at once.

    python -m mechlearn.data.joined_store OUT STORE [STORE ...]

Slices are not copied: the joined store links to the folders of the others, which must stay where
they are. Validation and test patients keep their split; of every store after the first they are
left out, so that validation is on the first data set alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mechlearn.data.splits import write_splits
from mechlearn.data.store import SliceStore
from mechlearn.files import write_bytes

__all__ = ["join_stores"]


def join_stores(out: str | Path, roots: Sequence[str | Path]) -> SliceStore:
    """Join stores of one grid, contrasts and intensity range.

    Args:
        out: folder of the joined store; it must not exist yet.
        roots: folders of finished stores; the first gives validation and test patients.

    Raises:
        FileExistsError: `out` exists.
        ValueError: stores that were prepared otherwise, or a patient that stands in two of them.
    """
    out, stores = Path(out), [SliceStore(root) for root in roots]
    if out.exists():
        raise FileExistsError(f"{out}: exists already. Remove it or give another name.")
    splits: dict[str, str] = {}
    links: dict[str, Path] = {}
    for number, store in enumerate(stores):
        if store.spec != stores[0].spec:
            raise ValueError(
                f"{store.root}: prepared with {store.spec}, {stores[0].root} with "
                f"{stores[0].spec}. Prepare both with the same data.prepare."
            )
        for patient in store.patients():
            split = store.splits[patient]
            if number and split != "train":
                continue
            if patient in links:
                raise ValueError(
                    f"{store.root}: patient {patient!r} is in {links[patient].parents[1]} as well; "
                    "one person would be counted twice. Leave one of the stores out."
                )
            splits[patient] = split
            links[patient] = (store.root / "visits" / patient).resolve()
    (out / "visits").mkdir(parents=True)
    for patient, folder in links.items():
        os.symlink(folder, out / "visits" / patient, target_is_directory=True)
    write_splits(splits, out / "splits.json")
    card = (stores[0].root / "store.json").read_bytes()
    write_bytes(out / "store.json", card)  # last: it is finished
    return SliceStore(out)


if __name__ == "__main__":
    join_stores(sys.argv[1], sys.argv[2:])
