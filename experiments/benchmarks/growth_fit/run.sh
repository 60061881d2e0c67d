#!/usr/bin/env bash
# Fits a second of the growth engines, measured in one run.
#   bash experiments/benchmarks/growth_fit/run.sh smoke|full      (from the root of a checkout)
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../../.."
out=outputs/experiments/benchmarks/growth_fit

case "$profile" in
  smoke) numbers=(--odeint 10 --lmfit 20 --slices 60 --checked 5 --largest 1000 --patients 40) ;;
  full) numbers=(--odeint 60 --lmfit 200 --slices 60 --checked 60 --largest 10000
    --patients 150) ;;
  *) echo "growth_fit: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac

python experiments/benchmarks/growth_fit/benchmark.py "$out/result.json" "${numbers[@]}"
