#!/usr/bin/env bash
# Pictures of real scans beside baselines, on six patients that no model has seen.
#   bash experiments/real_scans/run.sh smoke|full      (from the root of a checkout)
# MECHLEARN_REAL_DATA holds brats2021 (BraTS 2021 case folders). Without it the run says so and ends.
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
out=outputs/experiments/real_scans
data="${MECHLEARN_REAL_DATA:-../shared/data}"
case "$profile" in
  smoke) slices=1; guided=0 ;;
  full) slices=3; guided=6 ;;
  *) echo "real_scans: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac
if [ ! -d "$data/brats2021" ]; then
  echo "real_scans: no $data/brats2021; set MECHLEARN_REAL_DATA. Skipped."
  exit 0
fi
rm -rf "$out"
mkdir -p "$out"
store=outputs/stores/real_scans
python -m mechlearn.prepare data=brats data.root="$data/brats2021" \
  data.name=real_scans data.prepare.size=128 data.prepare.pixel_mm=1.5 data.splits.val=0 \
  data.splits.val_paediatric=null data.splits.test=0
known=outputs/stores/real_scans_known
if [ -d "$data/brats2018" ]; then
  python -m mechlearn.prepare data=brats data.root="$data/brats2018" data.name=real_scans_known \
    data.prepare.size=128 data.prepare.pixel_mm=1.5 data.splits.val=5 data.splits.val_paediatric=null
fi
others=(); [ -d "$data/brats2018" ] && others=(--known "$known")
python experiments/real_scans/bench.py "$store" "$out" --split all --slices "$slices" --guided "$guided" "${others[@]}"
