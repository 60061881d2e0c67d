"""Values that no table, file or setting may hold."""

from __future__ import annotations

import math
from typing import Any

SIZES = {"patient": "P1", "slice": "z7", "day": "0", "area_mm2": "10", "rt_start_day": "1",
         "rt_end_day": "40", "dose_gy": "60", "fractions": "30"}  # fmt: skip
VISIT = {"patient": "P1", "session": "s0", "day": "0", "t1n": "a.nii", "t1c": "", "t2w": "",
         "t2f": "", "seg": "seg.nii", "label_scheme": "brats2023", "rt_start_day": "",
         "rt_end_day": "", "dose_gy": "", "fractions": "", "surgery_day": "", "source": "",
         "age_group": "", "brain_mask": ""}  # fmt: skip
PERSON = {"patient": "P1", "surgery_day": "", "chemo_start_day": "", "chemo_end_day": ""}
NO_NUMBER = ("many", "1_0", "1,5", "0x10", "٣", "--1", "1e", "inf", "5 mm", "∞")
NO_DAY = (*NO_NUMBER, "nan", "05/04/2021", "2021-02-30", "44201", "20211399", "1e9", "Jan 5")
CELLS: dict[str, dict[str, tuple[str, ...]]] = {
    "series": {
        "patient": ("", "a/b"), "slice": ("", "a/b"), "day": ("", *NO_DAY),
        "area_mm2": ("", "nan", "-1", *NO_NUMBER), "rt_start_day": NO_DAY, "rt_end_day": NO_DAY,
        "dose_gy": ("0", "-60", *NO_NUMBER), "fractions": ("0", "-3", "30.5", *NO_NUMBER),
    },
    "manifest": {
        "patient": ("", "a/b", "..", "a b", "*"), "session": ("", "a/b", "..", "."), "day": NO_DAY,
        "t1n": ("", "none.nii"), "seg": ("", "none.nii", "9=seg.nii", "1=seg.nii;1=seg.nii"),
        "label_scheme": ("", "brats", "BRATS2021"), "rt_start_day": NO_DAY, "surgery_day": NO_DAY,
        "dose_gy": ("0", "-60", *NO_NUMBER), "fractions": ("0", "30.5", *NO_NUMBER),
        "age_group": ("child", "12"), "brain_mask": ("none.nii",),
    },
    "patients table": {
        "surgery_day": NO_NUMBER, "chemo_start_day": NO_NUMBER,
    },
}  # fmt: skip
TEXTS = {
    "empty": b"", "a line": b"hello\n", "null": b"null", "a list": b"[1, 2]", "a number": b"7",
    "cut JSON": b'{"format": "mechlearn pop', "NaN": b'{"format": NaN}', "zeros": bytes(64),
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "latin-1": '{"name": "Müller"}'.encode("latin-1"), "a zip": b"PK\x03\x04" + bytes(60),
    "an empty object": b"{}", "another's": b'{"name": "x", "version": 3}',
}  # fmt: skip

WRONG_SPECS: dict[str, dict[str, tuple[Any, ...]]] = {
    "SamplerSpec": {"nl": (0, -1, 10**6), "steps": (0, 10**6), "scale": ("10q", "nan", "inf", "-1"),
                  "smooth_px": (-1.0, math.nan), "target_boost": (-1.0, math.nan),
                  "guidance": ("magic",), "batch_size": (0, -1)},
    "GrowthSpec": {"law": ("cubic",), "n_bootstrap": (0, -1), "noise": (-1.0, math.nan),
                 "ridge": (-1.0, math.nan), "n_starts": (0,), "min_visits": (0,),
                 "curve_points": (1,), "alpha_beta_gy": (0.0, math.nan, -3.0),
                 "rt_duration_days": (0.0, math.nan), "max_growth": (0.5, math.nan),
                 "setup": ("test",), "engine": ("magic",), "noise_model": ("loud",)},
    "MapSpec": {"nodes": (0, -1), "below_percentile": (0.0, 101.0, math.nan),
              "n_static": (-1,), "threshold": (-0.1, 1.1, math.nan), "median_px": (0,)},
    "PrepareSpec": {"size": (0, 7), "pixel_mm": (0.0, -1.0, math.nan, math.inf),
                  "min_brain_mm2": (-1.0, math.nan), "contrasts": ((), ("t9",), ("t1n", "t1n")),
                  "percentiles": ((50.0, 10.0), (-1.0, 99.0)), "missing": ("perhaps",)},
    "SplitSpec": {"val": (-0.1, math.nan, 1.5), "test": (-0.1, math.nan)},
    "PhantomSpec": {"n_train": (-1, 10**5), "dmg_share": (-0.1, 1.1, math.nan),
                  "voxel_mm": (0.0, 9.0, math.nan), "train_visits": (0,)},
    "CourseChange": {"dose_gy": (5400.0, 1e9, -1.0, math.nan), "fractions": (0, -1, 10**6),
                   "rt_start_day": (math.nan, math.inf), "course": (0, -1)},
}  # fmt: skip
