#!/usr/bin/env bash
# Where a tumour of the true size lies: dilation and a ladder of baselines on held-out phantom slices.
#   bash experiments/where/run.sh smoke|full      (from the root of a checkout)
# STORE is a prepared slice store of the phantom cohort; made where there is none.
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
out=outputs/experiments/where
STORE="${STORE:-outputs/stores/phantom}"
case "$profile" in
  smoke) slices=96 volumes=1 forecasts="--patients 1 --validation 2 --prior 6" ;;
  full) slices=400 volumes=8 forecasts="--patients 16 --workers 2" ;;
  *) echo "where: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac
rm -rf "$out"
mkdir -p "$out"
[ -f "$STORE/store.json" ] || python -m mechlearn.prepare data=phantom
python experiments/where/rungs.py "$STORE" "$out" --slices "$slices"
python experiments/where/volumes.py "$out" --patients "$volumes"
# shellcheck disable=SC2086  # several words
python experiments/where/forecasts.py "$out" $forecasts
