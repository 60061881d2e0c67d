#!/usr/bin/env bash
# The paper's Fig. 4: growth maps from forecast sizes against the held-out last visit.
#   bash experiments/fig4_longitudinal/run.sh smoke|full [override ...]    (from the root of a checkout)
#   bash experiments/fig4_longitudinal/run.sh full data=manifest data.manifest=visits.csv
# Stopped, it goes on where it was. Overrides are passed on to every command; with data= it runs on
# your own visits. TEST, VAL (slices), OUT and JOBS may be set.
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
case "$profile" in
  smoke) test="${TEST:-6}" val="${VAL:-3}" n_test=6 n_val=3 less=(sampler.steps=6 task.maps.nodes=3 task.maps.n_static=2) ;;
  full) test="${TEST:-64}" val="${VAL:-16}" n_test=16 n_val=8 less=() ;;
  *) echo "fig4_longitudinal: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac
export OMP_NUM_THREADS=1  # jobs side by side are the parallelism
given=("${@:2}")
out="${OUT:-outputs/experiments/fig4_longitudinal}"
mkdir -p "$out"
source=() others=()  # what prepare takes as well, and the rest
for word in "${given[@]}"; do
  case "$word" in data=* | data.* | paths.*) source+=("$word") ;; *) others+=("$word") ;; esac
done
if [[ " ${given[*]} " == *" data="* ]]; then
  data=("${source[@]}" data.prepare.size=128 data.prepare.pixel_mm=1.5)  # the grid of the weights
else
  # Adult-like and pontine phantoms with radiotherapy; validation patients have as many visits.
  data=(data=phantom "data.name=fig4_$profile" data.phantom.n_train=0 "data.phantom.n_val=$n_val"
        "data.phantom.n_test=$n_test" data.phantom.train_visits=5 "${source[@]}")
fi
python -m mechlearn.prepare "${data[@]}"  # before jobs side by side want it
# First the validation patients, who choose thresholds and recalibration, then the test patients.
for split in val test; do
  python -m mechlearn.evaluate -m +experiment=fig4 sampler=fast,labels "task.split=$split" \
    "task.slices=${!split}" launcher=joblib "hydra.launcher.n_jobs=${JOBS:-2}" \
    "${data[@]}" "${less[@]}" "${others[@]}" "hydra.sweep.dir=$out/$split"
done
python -m mechlearn.collect "$out"
python experiments/fig4_longitudinal/gather.py "$out"
