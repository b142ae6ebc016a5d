"""How much better the best schedule in hindsight would have been than that of a policy with as many triggers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modyn_bench.analysis.finished import finished_run
from modyn_bench.analysis.oracle.dense import Oracle
from modyn_bench.analysis.oracle.kept import as_value, costs_of, halves, in_service, trainings
from modyn_bench.errors import RequestError
from modyn_bench.evaluation.composite import assign
from modyn_bench.metrics import find_metric
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.runs.identity import NOT_RESULTS, PREDICTION_KEYS, is_path_key
from modyn_bench.runs.naming import by_content, flatten
from modyn_bench.timespan import format_time
from modyn_bench.types import FloatArray

_SCHEDULE = ("trigger", "replay.flush", "replay.max_triggers")  # what says when to train, and nothing else


def regret(oracle: Oracle, run: Path) -> pd.DataFrame:
    r"""Compare a policy's run with the best schedule of at most as many triggers.

    .. math:: \text{regret} = v(S^*_k) - v(S_\text{policy}), \quad k = |S_\text{policy}|

    with the sign turned where lower values are better, so that a positive regret is what the policy lost. On the
    choosing half it is never negative against a bound; on the scoring half it is free of the choice's optimism, and may
    be negative by chance.

    Args:
        oracle: Of a dense run.
        run: The directory of a finished run that differs from the dense one in its trigger alone, ``replay.flush`` and
            ``replay.max_triggers`` included, and that trained at candidates only, the first of them included.

    Returns:
        One row: run_id, num_triggers (that trained, up to the last whose model answers a test sample: the one that the
        end of the stream forces often does not, gains nothing, and is not counted), value_choosing, value_scoring (the
        run's metric on either half), oracle_choosing, oracle_scoring, regret_choosing, regret_scoring, num_differing
        (models that do not predict as the candidate's does), kind (``bound``, where the oracle is one and no model
        differs, else ``reference``).

    Raises:
        RequestError: If the runs differ in more, or a trigger is no candidate; the first one is named.
        RunError: If a run is not finished, locked or damaged.
    """
    with finished_run(run) as policy:
        _check_alike(oracle.manifest, policy.manifest)
        own = _until_the_last_that_answers(trainings(policy), policy, oracle.variant)
        places = _places(oracle, own, policy)
        values = _values(oracle, policy, own)
        predicted = _digests(policy, own["model_id"].tolist())
    candidates = oracle.candidates["model_id"].to_numpy()[places].tolist()
    with finished_run(oracle.path) as dense:
        differing = sum(one != other for one, other in zip(predicted, _digests(dense, candidates), strict=True))
    best = oracle.at(len(own))
    sign = 1.0 if find_metric(oracle.metric).higher_is_better else -1.0
    return pd.DataFrame(
        {
            "run_id": [policy.run_id],
            "num_triggers": [len(own)],
            "value_choosing": [values[0]],
            "value_scoring": [values[1]],
            "oracle_choosing": [best["value_choosing"]],
            "oracle_scoring": [best["value_scoring"]],
            "regret_choosing": [sign * (best["value_choosing"] - values[0])],
            "regret_scoring": [sign * (best["value_scoring"] - values[1])],
            "num_differing": [differing],
            "kind": ["reference" if differing else oracle.kind],
        }
    )


def _check_alike(dense: Mapping[str, Any], policy: Mapping[str, Any]) -> None:
    """Check that two runs differ in nothing but when they trained."""
    if dense["fingerprint"] != policy["fingerprint"]:
        raise RequestError(f"{policy['run_id']} and the dense run {dense['run_id']} are of different data")
    one, other = _compared(by_content(dense)), _compared(by_content(policy))
    for key in dict.fromkeys([*one, *other]):
        if one.get(key) != other.get(key):
            raise RequestError(
                f"{key}={other.get(key)} in {policy['run_id']}, but {one.get(key)} in the dense run "
                f"{dense['run_id']}: only their triggers may differ"
            )
    code, other_code = dense.get("code") or {}, policy.get("code") or {}
    for module in code.keys() & other_code.keys():
        if code[module] != other_code[module]:
            raise RequestError(f"{module} was edited between {dense['run_id']} and {policy['run_id']}: run both again")


def _compared(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be the same: all that can change a result, but for when to train."""
    evaluation = {f"evaluation.{key}" for key in PREDICTION_KEYS}
    left_out = (*NOT_RESULTS, *_SCHEDULE)
    return {
        key: value
        for key, value in flatten(config).items()
        if not any(key == place or key.startswith(f"{place}.") for place in left_out)
        and (not key.startswith("evaluation.") or key in evaluation)
        and not (key.startswith("dataset.") and is_path_key(key.removeprefix("dataset.")))
    }


def _until_the_last_that_answers(own: pd.DataFrame, run: RunDirectory, variant: str) -> pd.DataFrame:
    """Leave out the trainings at the end whose models answer no test sample."""
    serving = assign(own["available_at"].tolist(), run.test_split()[0]).of(variant)
    return own.iloc[: max(0, int(serving.max(initial=0))) + 1]


def _places(oracle: Oracle, own: pd.DataFrame, run: RunDirectory) -> list[int]:
    """Return which candidate each training of a run is."""
    what = ["fired_at", "labelled_until"]
    known = {row: place for place, row in enumerate(oracle.candidates[what].itertuples(index=False, name=None))}
    rows = list(own[what].itertuples(index=False, name=None))
    for index, row in zip(own["trigger_index"], rows, strict=True):
        if row not in known:
            raise RequestError(
                f"trigger {index} of {run.run_id}, at {format_time(row[0], seconds=True)} with {row[1]:,} samples "
                f"labelled, is no candidate in {oracle.path}: take a dense run that trained then as well"
            )
    places = [known[row] for row in rows]
    if places[0] != 0:
        first = oracle.candidates["trigger_index"].iloc[places[0]]
        raise RequestError(
            f"trigger {own['trigger_index'].iloc[0]} of {run.run_id} is its first, but trigger {first} of the dense "
            f"run, where schedules begin earlier: find the oracle with first_trigger={first}"
        )
    return places


def _values(oracle: Oracle, run: RunDirectory, own: pd.DataFrame) -> FloatArray:
    """Return a run's metric on either half, shape (2,)."""
    times, labels = run.test_split()
    serving = assign(own["available_at"].tolist(), times).of(oracle.variant)
    served = in_service(times, int(own["available_at"].iloc[0]), oracle.variant)
    half = halves(len(times), oracle.seed) & served
    costs = np.zeros(len(times))
    for place, model_id in enumerate(own["model_id"].tolist()):
        answers = serving == place
        costs[answers] = costs_of(run, model_id, oracle.metric, labels)[answers]
    return as_value(oracle.metric, (half * costs).sum(axis=1), half.sum(axis=1))


def _digests(run: RunDirectory, model_ids: list[int]) -> list[str]:
    """Return a hash of what each model said of the test split."""
    digests = []
    for model_id in model_ids:
        said = run.predictions(model_id)
        parts = (said.predicted, said.confidence, said.label_rank, said.loss)
        digests.append(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
    return digests
