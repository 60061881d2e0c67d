#!/usr/bin/env bash
# Where real tumours grow: the default order and all baselines at the true volume.
#   bash experiments/where_real/run.sh smoke|full      (from the root of a checkout)
# MECHLEARN_REAL_DATA names the folder of the real data; without it nothing is run.
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
out=outputs/experiments/where_real
data="${MECHLEARN_REAL_DATA:-../shared/data}"
if [ ! -d "$data/pairs" ]; then
  echo "where_real: no $data/pairs; set MECHLEARN_REAL_DATA. Skipped."
  exit 0
fi
rm -rf "$out"
mkdir -p "$out"
case "$profile" in
  smoke) python experiments/where_real/where_real.py "$out" --patients 3 ;;
  full) python experiments/where_real/where_real.py "$out" ;;
  *) echo "where_real: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac
python experiments/where_real/compartments.py "$out"
