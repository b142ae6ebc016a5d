#!/usr/bin/env bash
# The points of conf/experiment/arxiv_triggering on a quarter of the bundled titles: 18 policies, three seeds, two cores.
#   experiments/arxiv_triggering/small.sh [OVERRIDE...]
# Runs go to $ROOT (default: outputs/arxiv_triggering_quarter).
set -euo pipefail
own=("$@")
root=${ROOT:-outputs/arxiv_triggering_quarter}
common=(dataset.used_fraction=0.25)
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"

sweep '+experiment/arxiv_triggering=glob(*)' seed=0,1,2

finish arxiv_triggering small
