#!/usr/bin/env bash
# How fast samples reach the model: one training of 30 million clicks, in order and shuffled.
#   experiments/throughput/run.sh criteo FOLDER [OVERRIDE...]
# README.md says what the folder must hold. Runs go to $ROOT/criteo (ROOT's default: outputs/throughput). On a GPU, add
# training.accelerator=gpu training.precision=16-mixed.
set -euo pipefail
usage="usage: experiments/throughput/run.sh criteo FOLDER, then [OVERRIDE...]"
root=${ROOT:-outputs/throughput}/${1:?$usage}
case $1 in
  criteo)
    common=(+experiment/paper=criteo_throughput dataset.path="${2:?$usage}")
    own=("${@:3}")
    ;;
  *)
    echo "$usage" >&2
    exit 2
    ;;
esac
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"

sweep training.shuffle=false,true

finish throughput paper
