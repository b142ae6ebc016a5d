"""The tables and sentences of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modyn_bench.analysis.comparison import over_seeds
from modyn_bench.metrics import HIGHER_IS_BETTER, axis_label

if TYPE_CHECKING:
    import pandas as pd

_MEAN = "mean"  # of the aggregates, that which is shown; the tables on disk have all
_COUNTS = ("num_triggers",)  # whole numbers of a run
_NONE = "-"  # where a composite model of a policy is not compared


def sentence(rows: pd.DataFrame, window_set: str, metric: str) -> str:
    """Say what a table shows.

    Args:
        rows: As ``compare_runs`` returns them, of one metric.
        window_set: The name of the windows.
        metric: The metric.
    """
    counts = rows.drop_duplicates("variant")
    windows = [f"{n} for the {_words(v)}" for v, n in zip(counts["variant"], counts["num_windows"], strict=True)]
    return (
        f"{axis_label(metric)}, {_words(shown_aggregate(rows))} over the {window_set} windows in which all runs "
        f"compared have a model and a defined value ({', '.join(windows)}): mean ± standard deviation over n runs."
    )


def shown_aggregate(rows: pd.DataFrame) -> str:
    """Return the aggregate that tables and figures show: the mean, or the first there is."""
    aggregates = rows["aggregate"].unique().tolist()
    return _MEAN if _MEAN in aggregates else str(aggregates[0])


def table(rows: pd.DataFrame) -> list[list[str]]:
    """Return header and cells: a row per policy, the best first, both composite models' values side by side.

    What differs between the composite models in a row has a column for each.

    Args:
        rows: As ``compare_runs`` returns them, of one metric.
    """
    higher = HIGHER_IS_BETTER[str(rows["metric"].iloc[0])]
    summary = over_seeds(rows[rows["aggregate"] == shown_aggregate(rows)])
    summary = summary.sort_values(["variant", "value_mean"], ascending=[True, not higher], kind="stable")
    variants = [str(variant) for variant in summary["variant"].unique()]
    policies = {str(name): part.set_index("variant") for name, part in summary.groupby("policy", sort=False)}
    columns: list[list[str]] = [["policy", *policies]]
    columns += _columns("n", [[_count(part, v) for part in policies.values()] for v in variants], variants)
    columns += [
        [_words(variant), *(_plus_minus(part, variant, "value", ".4f") for part in policies.values())]
        for variant in variants
    ]
    columns += _columns("coverage", [[_coverage(part, v) for part in policies.values()] for v in variants], variants)
    for title, measure, form in (
        ("triggers", "num_triggers", ",.1f"),
        ("sample passes", "sample_passes", ",.0f"),
        ("seconds", "seconds", ",.1f"),
    ):
        cells = [[_plus_minus(part, variant, measure, form) for part in policies.values()] for variant in variants]
        columns += _columns(title, cells, variants)
    return [list(row) for row in zip(*columns, strict=True)]


def _columns(title: str, cells: Sequence[Sequence[str]], variants: Sequence[str]) -> list[list[str]]:
    """Return one column for all composite models, or one for each where those that a row has differ."""
    by_row = [[cell for cell in row if cell != _NONE] for row in zip(*cells, strict=True)]
    if all(len(set(row)) == 1 for row in by_row):
        return [[title, *(row[0] for row in by_row)]]
    return [
        [f"{title}, {variant.rpartition('_')[2]}", *column] for variant, column in zip(variants, cells, strict=True)
    ]


def _count(part: pd.DataFrame, variant: str) -> str:
    return str(part["n"].loc[variant]) if variant in part.index else _NONE


def _coverage(part: pd.DataFrame, variant: str) -> str:
    return f"{part['coverage_mean'].loc[variant]:.0%}" if variant in part.index else _NONE


def _plus_minus(part: pd.DataFrame, variant: str, measure: str, form: str) -> str:
    if variant not in part.index:
        return _NONE
    mean, deviation = (float(part[f"{measure}_{which}"].loc[variant]) for which in ("mean", "std"))
    if measure in _COUNTS and all(number.is_integer() for number in (mean, deviation) if not math.isnan(number)):
        form = ",.0f"  # the same in all runs
    return f"{mean:{form}}" if math.isnan(deviation) else f"{mean:{form}} ± {deviation:{form}}"


def _words(name: str) -> str:
    return str(name).replace("_", " ")
