#!/usr/bin/env bash
# A training step of the paper's denoiser beside the same network written plainly in MONAI.
#   bash experiments/benchmarks/train_step/run.sh smoke|full      (from the root of a checkout)
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../../.."
out=outputs/experiments/benchmarks/train_step

case "$profile" in
  smoke) numbers=(--steps 3) ;;
  full) numbers=(--steps 15 --largest) ;;
  *) echo "train_step: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac

python experiments/benchmarks/train_step/benchmark.py "$out/result.json" "${numbers[@]}"
