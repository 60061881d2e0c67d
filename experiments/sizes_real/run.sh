#!/usr/bin/env bash
# Learned size forecasts on real cohorts, beside the cohort ratio and carry-forward.
#   bash experiments/sizes_real/run.sh smoke|full      (from the root of a checkout)
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
out=outputs/experiments/sizes_real
case "$profile" in
  smoke | full) ;;
  *) echo "sizes_real: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac
rm -rf "$out"
mkdir -p "$out"
python experiments/sizes_real/compare_cohorts.py "$out" "$profile"
if [ "$profile" = full ]; then python experiments/sizes_real/check_generality.py "$out"; fi
