#!/usr/bin/env bash
# The same with 100,000 of the bundled titles, for two cores: both orders by turns, six times each. The first of each, seed 0,
# pays for what is loaded once, and README.md leaves it out.
#   experiments/throughput/small.sh [OVERRIDE...]
# Runs go to $ROOT (default: outputs/throughput_small).
set -euo pipefail
own=("$@")
root=${ROOT:-outputs/throughput_small}
common=(+experiment/paper=throughput trigger.num_samples=100000)
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"

sweep seed=0,1,2,3,4,5 training.shuffle=false,true

finish throughput small
