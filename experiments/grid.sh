# Sourced by the grids' run.sh and small.sh, which set:
#   root    where the runs go
#   common  an array: the overrides of every job
#   own     an array: the overrides of the command line, which come last and so win; it may be empty, of which bash before
#           4.4 says that it is not set, unless it is written as below
# `sweep OVERRIDE...` runs one product of a grid. A job that fails stops neither its siblings nor the next product; a wrong
# request (2) and Ctrl-C (130) stop all. What is done already is not done again, so the same command resumes.
experiments=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH=$experiments/..${PYTHONPATH:+:$PYTHONPATH} # for models beside the grids, such as experiments.yearbook_net
failed=0

sweep() {
  local status=0
  modyn-bench run --multirun root="$root" logger=none "${common[@]}" "$@" ${own[@]+"${own[@]}"} || status=$?
  case $status in
    0) ;;
    1) failed=1 ;;
    *) exit "$status" ;;
  esac
}

# FILE [OVERRIDE...]: add to `common` which of a file's columns is what in the grids on arXiv. Where $DISTILBERT names the
# folder of the paper's network and its tokenizer, it is trained, on 300 tokens and with these overrides.
titles() {
  common+=(dataset=table dataset.path="$1" dataset.timestamp=created dataset.label=primary_cat dataset.text=title)
  if [[ -n ${DISTILBERT-} ]]; then
    common+=(model=pretrained_text model.path="$DISTILBERT" dataset.tokenizer="$DISTILBERT" dataset.max_tokens=300
      "${@:2}")
  fi
}

# TABLE: add to `common` which of its columns is what in the grids on CGLM, whose images lie beside it.
landmarks() {
  common+=(dataset=images dataset.path="$1" dataset.image=id dataset.suffix=.jpg dataset.timestamp=upload_date
    dataset.timestamp_unit=s dataset.label=landmark_id)
}

# GRID SCALE: write the runs into the grid's results.csv, and fail if a job did. With overrides of the command line they may
# be another grid's runs, and are written beside them.
finish() {
  local out=$experiments/$1/results.csv
  if [[ -n ${own[*]-} ]]; then
    out=$root/results.csv
    echo "With overrides, results stay beside the runs. To commit them: python $experiments/summarise.py $1 $2 $root"
  fi
  python "$experiments/summarise.py" "$1" "$2" "$root" --out "$out"
  exit "$failed"
}
