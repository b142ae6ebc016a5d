"""What runs used, by stage, from ``stages.parquet``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modyn_bench.types import BACKWARD

if TYPE_CHECKING:
    import pandas as pd

STAGES = ("replay", "decide", "select", "score", "train", "predict", "commit")
"""Leaf stages in the order of the loop."""

EVALUATION_STAGES = ("predict",)
"""What only evaluating costs: no cost of the policy that is evaluated."""


def summarise_stages(stages: pd.DataFrame, *, by: tuple[str, ...] = ("run_id",)) -> pd.DataFrame:
    """Sum what was used, by stage.

    Args:
        stages: ``stages.parquet`` of one run, or of several with a ``run_id`` column.
        by: Further columns to group by; those that the frame lacks are left out.

    Returns:
        One row per group and stage, groups in order of appearance, stages in the order of the loop and others behind
        them: seconds, num_samples, forward_passes, backward_passes, sample_passes (forward + 2 × backward), and
        share_of_seconds within the group.

    Example:
        >>> import pandas as pd
        >>> stages = pd.DataFrame(
        ...     {
        ...         "stage": ["train", "select", "train"],
        ...         "seconds": [3.0, 1.0, 4.0],
        ...         "num_samples": [10, 20, 10],
        ...         "forward_passes": [30.0, 0.0, 30.0],
        ...         "backward_passes": [30.0, 0.0, 30.0],
        ...     }
        ... )
        >>> summarise_stages(stages)[["stage", "seconds", "sample_passes", "share_of_seconds"]].values.tolist()
        [['select', 1.0, 0.0, 0.125], ['train', 7.0, 180.0, 0.875]]
    """
    groups = [column for column in by if column in stages.columns]
    used = ["seconds", "num_samples", "forward_passes", "backward_passes"]
    seen = [stage for stage in dict.fromkeys(stages["stage"]) if stage not in STAGES]
    rank = {stage: position for position, stage in enumerate([*STAGES, *seen])}
    places = {key: {value: place for place, value in enumerate(dict.fromkeys(stages[key]))} for key in groups}
    summed: pd.DataFrame = stages.groupby([*groups, "stage"], sort=False, dropna=False)[used].sum().reset_index()
    order = summed[[*groups, "stage"]].apply(lambda column: column.map(places.get(str(column.name), rank)))
    summed = summed.loc[order.sort_values([*groups, "stage"], kind="stable").index].reset_index(drop=True)
    summed["sample_passes"] = summed["forward_passes"] + BACKWARD * summed["backward_passes"]
    total = summed.groupby(groups, dropna=False)["seconds"].transform("sum") if groups else summed["seconds"].sum()
    summed["share_of_seconds"] = summed["seconds"] / total
    return summed


def policy_costs(stages: pd.DataFrame) -> pd.DataFrame:
    """Sum what each run used, the predictions for its evaluation left out: the cost axis of a comparison.

    Args:
        stages: ``stages.parquet`` of several runs with a ``run_id`` column.

    Returns:
        One row per run, in order of appearance: run_id, seconds, forward_passes, backward_passes, sample_passes
        (forward + 2 × backward; the same on every machine).

    Example:
        >>> import pandas as pd
        >>> columns = ["run_id", "stage", "seconds", "num_samples", "forward_passes", "backward_passes"]
        >>> rows = [["a", "decide", 1.0, 9, 5.0, 0.0], ["a", "train", 2.0, 9, 9.0, 9.0]]
        >>> predicted = ["a", "predict", 4.0, 7, 7.0, 0.0]
        >>> policy_costs(pd.DataFrame([*rows, predicted], columns=columns)).values.tolist()
        [['a', 3.0, 14.0, 9.0, 32.0]]
    """
    used = ["seconds", "forward_passes", "backward_passes"]
    counted = stages[used].where(~stages["stage"].isin(EVALUATION_STAGES), 0.0)
    summed = counted.groupby(stages["run_id"], sort=False).sum().reset_index()
    summed["sample_passes"] = summed["forward_passes"] + BACKWARD * summed["backward_passes"]
    return summed
