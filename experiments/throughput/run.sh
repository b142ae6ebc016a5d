#!/usr/bin/env bash
# How fast samples reach the model: one training of 30 million clicks, in order and shuffled.
#   experiments/throughput/run.sh CLICKS [OVERRIDE...]
# README.md says what the file must hold. Runs go to $ROOT (default: outputs/throughput). On a GPU, add
# training.accelerator=gpu training.precision=16-mixed.
set -euo pipefail
data=${1:?usage: experiments/throughput/run.sh CLICKS [OVERRIDE...]}
own=("${@:2}")
root=${ROOT:-outputs/throughput}
one_of() { local IFS=,; echo "$*"; }
common=(+experiment/paper=throughput dataset=table dataset.path="$data" dataset.timestamp=null dataset.label=label
  dataset.categorical="[$(one_of C{1..26})]" dataset.test_fraction=0.01 trigger.num_samples=30000000
  training.batch_size=65536)
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"

sweep training.shuffle=false,true

finish throughput paper
