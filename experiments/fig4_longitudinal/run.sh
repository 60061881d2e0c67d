#!/usr/bin/env bash
# The paper's Fig. 4: growth maps from forecast sizes against the held-out last visit.
#   bash experiments/fig4_longitudinal/run.sh smoke|full [override ...]    (from the root of a checkout)
#   bash experiments/fig4_longitudinal/run.sh full data=manifest data.manifest=visits.csv
# Stopped, it goes on where it was. Overrides are passed on to every command; with data= it runs on
# your own visits. TEST, VAL (slices), SAMPLERS, PRECISION, OUT and JOBS may be set; with
# SAMPLERS=labels task.maps.nodes=1 exact maps and baselines come without many generations.
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
case "$profile" in
  smoke) test="${TEST:-6}" val="${VAL:-3}" n_test=6 n_val=3 less=(sampler.steps=6 task.maps.nodes=3 task.maps.n_static=2) ;;
  full) test="${TEST:-64}" val="${VAL:-16}" n_test=16 n_val=8 less=(sampler.steps=8 sampler.invert_iterations=1 task.maps.nodes=5 task.maps.n_static=2) ;;
  *) echo "fig4_longitudinal: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac
# bfloat16 halves the denoiser's time where the CPU has instructions for it, and is slow elsewhere.
bf16_or_float32() { grep -qsE "amx_bf16|avx512_bf16" /proc/cpuinfo && echo bf16 || echo float32; }
export OMP_NUM_THREADS=1  # jobs side by side are the parallelism
given=("${@:2}")
out="${OUT:-outputs/experiments/fig4_longitudinal}"
mkdir -p "$out"
source=() others=()  # what prepare takes as well, and the rest
manifest=- tested=test
for word in "${given[@]}"; do
  case "$word" in data.manifest=*) manifest="${word#*=}" ;; esac
  case "$word" in data=* | data.* | paths.*) source+=("$word") ;; *) others+=("$word") ;; esac
done
if [[ " ${given[*]} " == *" data="* ]]; then
  data=(data.prepare.size=128 data.prepare.pixel_mm=1.5 "${source[@]}")  # the grid of the weights
  if [[ " ${given[*]} " != *" data.splits"* && ! -f "$(dirname "$manifest")/splits.json" ]]; then
    # The weights have seen none of these patients: all are tested but those for thresholds.
    data+=(data.splits.val=0.3 data.splits.test=0)
    tested=train
  fi
else
  # Adult-like and pontine phantoms with radiotherapy; validation patients have as many visits.
  data=(data=phantom "data.name=fig4_$profile" data.phantom.n_train=0 "data.phantom.n_val=$n_val"
        "data.phantom.n_test=$n_test" data.phantom.train_visits=5 "${source[@]}")
fi
python -m mechlearn.prepare "${data[@]}"  # before jobs side by side want it
# First the validation patients, who choose thresholds and recalibration, then the test patients.
for part in val test; do
  split="$part"
  [ "$part" = val ] || split="$tested"
  python -m mechlearn.evaluate -m +experiment=fig4 "sampler=${SAMPLERS:-fast,labels}" "task.split=$split" \
    "sampler.precision=${PRECISION:-$(bf16_or_float32)}" \
    "task.slices=${!part}" launcher=joblib "hydra.launcher.n_jobs=${JOBS:-2}" \
    "${data[@]}" "${less[@]}" "${others[@]}" "hydra.sweep.dir=$out/$part"
done
python -m mechlearn.collect "$out"
python experiments/fig4_longitudinal/gather.py "$out"
