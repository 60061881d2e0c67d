#!/usr/bin/env bash
# A growth map by the reference's way and by our samplers.
#   bash experiments/benchmarks/growth_map/run.sh smoke|full      (from the root of a checkout)
# Full runs of slices are kept: a broken run goes on where it stopped.
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../../.."
out=outputs/experiments/benchmarks/growth_map
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

case "$profile" in
  smoke) numbers=(--targets 20 --timed 20 --slices 2) ;;
  full) numbers=(--targets 100 --timed 100 --slices 16 --lines 2 --seeds 1) ;;
  *) echo "growth_map: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac

python experiments/benchmarks/growth_map/benchmark.py "$out/result.json" "${numbers[@]}"
