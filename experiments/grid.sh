# Sourced by the grids' run.sh and small.sh, which set:
#   root    where the runs go
#   common  an array: the overrides of every job
#   own     an array: the overrides of the command line, which come last and so win
# `sweep OVERRIDE...` runs one product of a grid. A job that fails stops neither its siblings nor the next product; a wrong
# request (2) and Ctrl-C (130) stop all. What is done already is not done again, so the same command resumes.
experiments=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH=$experiments/..${PYTHONPATH:+:$PYTHONPATH} # for models beside the grids, such as experiments.yearbook_net
failed=0

sweep() {
  local status=0
  modyn-bench run --multirun root="$root" logger=none "${common[@]}" "$@" "${own[@]}" || status=$?
  case $status in
    0) ;;
    1) failed=1 ;;
    *) exit "$status" ;;
  esac
}

finish() { # GRID SCALE: write the runs into the grid's results.csv, and fail if a job did
  python "$experiments/summarise.py" "$1" "$2" "$root"
  exit "$failed"
}
