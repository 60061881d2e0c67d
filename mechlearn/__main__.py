"""One entry for all commands: mechlearn COMMAND ..., or python -m mechlearn COMMAND ..."""

from __future__ import annotations

import importlib
import sys

import mechlearn

COMMANDS = {
    "prepare": "NIfTI visits -> store of slices, or a check of them",
    "train": "train a denoiser, a regressor or a segmenter",
    "evaluate": "score models and growth models; grids and sweeps with -m",
    "forecast": "one patient to a day: volume, growth map, page",
    "score": "score the growth maps of any model beside baselines",
    "collect": "collect the rows of a sweep",
    "export": "a trained pair as one folder",
}


def main() -> None:
    """Run the command named by the first argument; exit status 2 for an unknown one."""
    words = sys.argv[1:]
    if words[:1] == ["--version"]:
        sys.stdout.write(f"mechlearn {mechlearn.__version__}\n")
        return
    if not words or words[0] in ("-h", "--help"):
        lines = [f"  {name:<10}{does}" for name, does in COMMANDS.items()]
        sys.stdout.write("\n".join(["mechlearn COMMAND KEY=VALUE ...", "", *lines, "",
                                    "mechlearn COMMAND --help lists the keys.", ""]))  # fmt: skip
        return
    if words[0] not in COMMANDS:
        sys.stderr.write(
            f"mechlearn {words[0]}: no such command; there are {', '.join(COMMANDS)}.\n"
        )
        sys.exit(2)
    name = f"mechlearn.{words[0]}"
    sys.argv[:2] = [name]
    sys.exit(importlib.import_module(name).main())


if __name__ == "__main__":
    main()
