#!/usr/bin/env bash
# Kills, full disks, vanished folders, two at once, flipped bits, and the table of bad inputs.
#   bash experiments/benchmarks/faults/run.sh smoke|full      (from the root of a checkout)
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../../.."
out=outputs/experiments/benchmarks/faults

case "$profile" in
  smoke) numbers=(--kills 4 --flips 12 --commands 1 --disks 0 --hostile 4) ;;
  full) numbers=(--kills 20 --flips 60 --commands 8 --disks 3) ;;
  *) echo "faults: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac

python experiments/benchmarks/faults/faults.py "$out" "${numbers[@]}"
