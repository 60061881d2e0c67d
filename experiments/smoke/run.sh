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
  smoke) patients=8 slices=16 sampler=fast ;;
  full) patients=32 slices=64 sampler=paper ;;
  *) echo "smoke: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac

python -m mechlearn.evaluate +experiment=sizes sampler="$sampler" task.patients="$patients" \
  task.slices="$slices" hydra.run.dir="$out"
cp "$out/row.json" "$out/result.json"
