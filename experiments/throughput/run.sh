#!/usr/bin/env bash
# How fast samples reach the model: one training of 30 million clicks, or of 500,000 images, in order and shuffled.
#   experiments/throughput/run.sh criteo FOLDER [OVERRIDE...]
#   experiments/throughput/run.sh cglm CGLM.csv [OVERRIDE...]
# README.md says what they must hold. Runs go to $ROOT/criteo and $ROOT/cglm (ROOT's default: outputs/throughput). On a GPU,
# add training.accelerator=gpu training.precision=16-mixed.
set -euo pipefail
usage="usage: experiments/throughput/run.sh criteo FOLDER | cglm FILE, then [OVERRIDE...]"
root=${ROOT:-outputs/throughput}/${1:?$usage}
data=${2:?$usage}
case $1 in
  criteo) common=(+experiment/paper=criteo_throughput dataset.path="$data") ;;
  cglm) common=(+experiment/paper=cglm_throughput) ;;
  *)
    echo "$usage" >&2
    exit 2
    ;;
esac
own=("${@:3}")
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"
if [[ $1 == cglm ]]; then
  landmarks "$data"
fi

sweep training.shuffle=false,true

finish throughput paper
