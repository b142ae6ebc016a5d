#!/usr/bin/env bash
# How fast samples reach the model: one training of 30 million clicks, or of 500,000 images, in order and shuffled.
#   experiments/throughput/run.sh CLICKS [OVERRIDE...]
#   experiments/throughput/run.sh cglm CGLM.csv [OVERRIDE...]
# README.md says what the files must hold. Runs go to $ROOT (default: outputs/throughput). On a GPU, add
# training.accelerator=gpu training.precision=16-mixed.
set -euo pipefail
usage="usage: experiments/throughput/run.sh CLICKS | cglm FILE, then [OVERRIDE...]"
data=${1:?$usage}
own=("${@:2}")
root=${ROOT:-outputs/throughput}
one_of() { local IFS=,; echo "$*"; }
common=(+experiment/paper=throughput dataset=table dataset.path="$data" dataset.timestamp=null dataset.label=label
  dataset.categorical="[$(one_of C{1..26})]" dataset.test_fraction=0.01 trigger.num_samples=30000000
  training.batch_size=65536)
if [[ $data == cglm ]]; then
  own=("${@:3}")
  common=(+experiment/paper=throughput dataset=images dataset.path="${2:?$usage}" dataset.image=id dataset.suffix=.jpg
    dataset.size=224 dataset.timestamp=upload_date dataset.timestamp_unit=s dataset.label=landmark_id
    dataset.test_fraction=0.01 trigger.num_samples=500000 training.batch_size=256 model=resnet model.depth=50
    training/augmentation=crop_and_flip training.optimizer._target_=torch.optim.SGD training.optimizer.lr=0.005
    +training.optimizer.momentum=0.9)
fi
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"

sweep training.shuffle=false,true

finish throughput paper
