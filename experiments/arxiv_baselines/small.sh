#!/usr/bin/env bash
# The same 16 on a tenth of the bundled titles, every 2,000 of them, with learning rates for the small text classifier, for
# two cores.
#   experiments/arxiv_baselines/small.sh [OVERRIDE...]
# Runs go to $ROOT (default: outputs/arxiv_baselines_small).
set -euo pipefail
own=("$@")
root=${ROOT:-outputs/arxiv_baselines_small}
common=(+experiment/paper=arxiv_baselines dataset.used_fraction=0.1 trigger=amount trigger.num_samples=2000)
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"

sweep training.optimizer._target_=torch.optim.AdamW,torch.optim.SGD training.optimizer.lr=5e-3,5e-2 training.epochs=5,10 \
  'training.schedule=null,{_target_: torch.optim.lr_scheduler.CosineAnnealingLR, interval: step, T_max: null}'

finish arxiv_baselines small
