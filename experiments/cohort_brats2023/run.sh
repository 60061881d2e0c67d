#!/usr/bin/env bash
# A cohort in BraTS 2023's layout: generate, check, prepare, kill and go on, open.
#   bash experiments/cohort_brats2023/run.sh smoke|full      (from the root of a checkout)
# KEEP=1 leaves the generated files (about 9 MB a patient) and the stores where they are.
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
here=experiments/cohort_brats2023
out=outputs/experiments/cohort_brats2023
export OMP_NUM_THREADS=1

case "$profile" in
  smoke) patients=12 templates=3 kills=3 splits=(data.splits.val=2 data.splits.val_paediatric=1) ;;
  full) patients=200 templates=6 kills=10 splits=() ;;
  *) echo "cohort_brats2023: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac

rm -rf "$out"
mkdir -p "$out"
[ -n "${KEEP:-}" ] || trap 'rm -rf "$out/cohort" "$out/stores"' EXIT
start=$SECONDS
python $here/generate.py "$out/cohort" --patients "$patients" --templates "$templates" --workers 2
echo "generate_s $((SECONDS - start))" > "$out/times"

roots=$(printf ',%s' "$PWD/$out/cohort/"*)
command=(python -m mechlearn.prepare data=brats "data.root=[${roots:1}]" "${splits[@]}"
         data.workers=2 "paths.stores=$out/stores" "hydra.run.dir=$out/run")
start=$SECONDS
"${command[@]}" mode=check > "$out/check.txt" 2>&1 && code=0 || code=$?
tail -n 20 "$out/check.txt"
echo "check_s $((SECONDS - start))" >> "$out/times"
echo "check_exit_code $code" >> "$out/times"

start=$SECONDS
"${command[@]}" data.name=whole
echo "prepare_s $((SECONDS - start))" >> "$out/times"
python $here/kills.py --kills "$kills" --work-s "$(((SECONDS - start) * 4 / 5))" \
  --store "$out/stores/killed" --reference "$out/stores/whole" --result "$out/kills.json" \
  -- "${command[@]}" data.name=killed
python $here/gather.py "$out"
