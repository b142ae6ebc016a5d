"""What triggering policies lose against the best triggers in hindsight, at the same number of triggers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from modyn_bench.analysis import style
from modyn_bench.analysis.figures.pareto import aggregate
from modyn_bench.analysis.frames import check_rows, places_of
from modyn_bench.errors import RequestError
from modyn_bench.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@style.styled
def regret(
    oracle: pd.DataFrame,
    points: pd.DataFrame,
    *,
    num_triggers: str = "num_triggers",
    value: str = "value",
    by: str = "policy",
    value_label: str = "Value",
    higher_is_better: bool = True,
    order: Mapping[str, int] | None = None,
    column: style.Column = "single",
    ax: Axes | None = None,
) -> Axes:
    """Draw the best value that k triggers can reach, for every k, and each policy's distance to it.

    The schedule of triggers that is best on some data is drawn twice: by its value there, which no policy can be
    expected to reach, and by its value on data that it was not chosen on. Regret is counted from the second, at the
    policy's mean number of triggers, and interpolated between whole numbers.

    Args:
        oracle: One row per number of triggers, such as ``Oracle.curve.reset_index()``: num_triggers (1, 2, …),
            value_choosing (the value of the best schedule of so many on the data that it was chosen on) and
            value_scoring (its value on other data).
        points: One row per run of a policy.
        num_triggers: The column of ``points`` with the number of triggers.
        value: The column of ``points`` with the value, on the data of ``value_scoring``.
        by: The column of ``points`` that names the runs that differ by seed only.
        value_label: Of the vertical axis.
        higher_is_better: Whether a higher value is a better one.
        order: The place of each policy among colours and markers; default: in order of appearance.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.

    Raises:
        RequestError: If there is nothing to draw.
    """
    check_rows(oracle, ["num_triggers", "value_choosing", "value_scoring"], name="oracle")
    check_rows(points, [num_triggers, value, by], name="points")
    oracle = oracle.sort_values("num_triggers")
    if oracle["num_triggers"].duplicated().any():
        raise RequestError("oracle must have one row per number of triggers: average over seeds first")
    table = regrets(oracle, points, num_triggers=num_triggers, value=value, by=by, higher_is_better=higher_is_better)
    order = places_of(list(table.index), order)
    own = ax is None
    ax = style.new_axes(column, 2.4) if ax is None else ax
    ax.plot(
        oracle["num_triggers"],
        oracle["value_choosing"],
        color="#999999",
        linestyle=(0, (1, 1)),
        label="best, where it was chosen",
    )
    ax.plot(
        oracle["num_triggers"], oracle["value_scoring"], color="black", linewidth=1.0, label="the same, on other data"
    )
    for name, row in sorted(table.iterrows(), key=lambda named: order[str(named[0])]):
        _draw_policy(ax, str(name), row, look=style.look(order[str(name)]))
    ax.set_xlabel("Triggers")
    ax.set_ylabel(value_label)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.margins(0.06)
    ax.grid()
    several = bool((table["n"] > 1).any())
    note = "Vertical lines: regret" + "; bars: ± one standard deviation over n runs" * several
    style.legend_below(ax, grow=own, note=note)
    return ax


def regrets(
    oracle: pd.DataFrame, points: pd.DataFrame, *, num_triggers: str, value: str, by: str, higher_is_better: bool = True
) -> pd.DataFrame:
    """Return each policy's mean and deviation of triggers and value, its n, and its regret.

    Args:
        oracle: As in ``regret``, in order.
        points: As in ``regret``.
        num_triggers: Column of ``points``.
        value: Column of ``points``.
        by: Column of ``points``.
        higher_is_better: Whether a higher value is a better one.

    Returns:
        By policy: cost, cost_std (of the number of triggers), value, value_std, n, best (the oracle's value_scoring)
        and regret, both null outside the oracle's range of triggers.

    Example:
        >>> oracle = pd.DataFrame({"num_triggers": [1, 3], "value_choosing": [0.5, 0.9], "value_scoring": [0.4, 0.8]})
        >>> points = pd.DataFrame({"policy": ["a", "a"], "num_triggers": [1, 3], "value": [0.5, 0.5]})
        >>> table = regrets(oracle, points, num_triggers="num_triggers", value="value", by="policy")
        >>> table["best"].round(3).tolist(), table["regret"].round(3).tolist()
        ([0.6], [0.1])
    """
    table = aggregate(points, cost=num_triggers, value=value, by=by)
    table.index = table.index.map(str)
    known = oracle.dropna(subset="value_scoring")
    best: FloatArray = np.interp(
        table["cost"].to_numpy(dtype=np.float64),
        known["num_triggers"].to_numpy(dtype=np.float64),
        known["value_scoring"].to_numpy(dtype=np.float64),
        left=np.nan,
        right=np.nan,
    )
    sign = 1.0 if higher_is_better else -1.0
    return table.assign(best=best, regret=sign * (best - table["value"]))


def _draw_policy(ax: Axes, name: str, row: pd.Series, *, look: style.Look) -> None:
    """Draw a policy's point, with its deviations and, up to the curve, its regret."""
    told = "" if np.isnan(row["regret"]) else f", regret {row['regret']:.3g}"
    ax.plot([row["cost"]] * 2, [row["value"], row["best"]], color=look.color, linewidth=0.8, linestyle=look.line)
    ax.errorbar(
        row["cost"],
        row["value"],
        xerr=row["cost_std"] if row["n"] > 1 else None,
        yerr=row["value_std"] if row["n"] > 1 else None,
        color=look.color,
        marker=look.marker,
        linestyle="none",
        elinewidth=0.8,
        capsize=1.5,
        label=f"{name} (n = {row['n']:.0f}){told}",
    )
