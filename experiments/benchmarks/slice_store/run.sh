#!/usr/bin/env bash
# Random slices from every candidate of the slice store, beside nibabel, in one run.
#   bash experiments/benchmarks/slice_store/run.sh smoke|full      (from the root of a checkout)
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../../.."
out=outputs/experiments/benchmarks/slice_store
export OMP_NUM_THREADS=1

case "$profile" in
  smoke) numbers=(--cases 2 --rounds 10 --visits 100 --seconds 0.5) ;;
  full) numbers=(--cases 6 --rounds 20 --visits 1230 --seconds 1.5) ;;
  *) echo "slice_store: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac

python experiments/benchmarks/slice_store/benchmark.py "$out/result.json" "${numbers[@]}"
if [ -d "${MECHLEARN_REAL_DATA:-../shared/data}/brats2021" ]; then
  python experiments/benchmarks/slice_store/loader.py "$out/result.json"
fi
