#!/usr/bin/env bash
# The selection grid on a tenth of the bundled arXiv titles, one seed: 31 pipelines for two cores.
#   experiments/paper_selection/small.sh [OVERRIDE...]
# Runs go to $ROOT (default: outputs/paper_selection_small).
set -euo pipefail
own=("$@")
root=${ROOT:-outputs/paper_selection_small}
common=(dataset.used_fraction=0.1 seed=42 trigger=time trigger.every=1y training.epochs=5)
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"

sweep selector=new_data
sweep selector=uniform,class_balanced,rs2,rs2_no_replacement,loss,grad_norm,rho_loss,margin,least_confidence,entropy \
  selector.ratio=0.125,0.5,0.25 selector.warmup_triggers=1

finish paper_selection small
