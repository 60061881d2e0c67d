#!/usr/bin/env bash
# Size response of the packaged weights on held-out phantom slices.
#   bash experiments/smoke/run.sh smoke|full      (from the root of a checkout)
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
out=outputs/experiments/smoke
rm -rf "$out"
mkdir -p "$out"

case "$profile" in
  smoke) patients=8 slices=16 ;;
  full) patients=16 slices=64 ;;
  *) echo "smoke: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac

python -m mechlearn.evaluate +experiment=sizes task.patients="$patients" task.slices="$slices" \
  hydra.run.dir="$out"
cp "$out/row.json" "$out/result.json"
