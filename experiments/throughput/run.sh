#!/usr/bin/env bash
# How fast samples reach the model: one training of 30 million clicks, or of 500,000 images, in order and shuffled.
#   experiments/throughput/run.sh criteo FOLDER [OVERRIDE...]
#   experiments/throughput/run.sh cglm CGLM.csv [OVERRIDE...]
# README.md says what they must hold. Runs go to $ROOT/criteo and $ROOT/cglm (ROOT's default: outputs/throughput). On a GPU,
# add training.accelerator=gpu training.precision=16-mixed.
set -euo pipefail
usage="usage: experiments/throughput/run.sh criteo FOLDER | cglm FILE, then [OVERRIDE...]"
root=${ROOT:-outputs/throughput}/${1:?$usage}
case $1 in
  criteo) common=(+experiment/paper=criteo_throughput dataset.path="${2:?$usage}") ;;
  cglm)
    common=(+experiment/paper=cglm_throughput dataset.path="${2:?$usage}" dataset.image=id dataset.suffix=.jpg
      dataset.timestamp=upload_date dataset.timestamp_unit=s dataset.label=landmark_id)
    ;;
  *)
    echo "$usage" >&2
    exit 2
    ;;
esac
own=("${@:3}")
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"

sweep training.shuffle=false,true

finish throughput paper
