"""The scores that a triggering policy decided on, with its thresholds: why it fired when it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from modyn_bench.analysis import style
from modyn_bench.analysis.amounts import AmountFormatter
from modyn_bench.analysis.frames import check_rows
from modyn_bench.errors import RequestError
from modyn_bench.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_COLUMNS = ["trigger_index", "policy", "at_timestamp", "score", "threshold", "fired", "warmup"]
_MOST_MARKERS = 150
_LARGE = 10_000  # scores from here on, such as regrets per cost, are written as 10k
_WARMUP_COLOR = "#E6E6E6"
_FIRED_COLOR = "#D55E00"
_SCORE_COLOR = "#0072B2"


@style.styled
def triggers_on_scores(
    decisions: pd.DataFrame,
    *,
    policy: str | None = None,
    score_label: str = "Score",
    column: style.Column = "double",
    ax: Axes | None = None,
) -> Axes:
    """Draw the scores of one policy over stream time, its threshold, and where it fired.

    Decisions that fired without a score, such as those of a warm-up policy or the first block's, stand at the bottom.
    The warm-up is shaded.

    Args:
        decisions: Rows of one run's ``decisions.parquet``.
        policy: Whose decisions; default: those of the run's policy, without the members of an ensemble.
        score_label: What the score is, with its unit.
        column: How wide a new figure is: as one column of a two-column paper, or as both (``double``).
        ax: Where to draw; default: a new figure.

    Raises:
        RequestError: If there is nothing to draw, or no such policy.
    """
    rows = _of_one_run(decisions)
    policies = list(dict.fromkeys(rows["policy"]))
    policy = policies[0] if policy is None else policy
    if policy not in policies:
        raise RequestError(f"there is no policy {policy!r} among these decisions; there is {', '.join(policies)}")
    if rows.loc[rows["policy"] == policy, "score"].isna().all():
        scored = list(dict.fromkeys(rows.loc[rows["score"].notna(), "policy"]))
        there = f"; with scores there is {', '.join(scored)}" if scored else ""
        raise RequestError(f"{policy} decided without scores: draw triggers_over_time in place of its scores{there}")
    own = ax is None
    ax = style.new_axes(column, 1.9) if ax is None else ax
    _draw(ax, rows, policy)
    ax.set_ylabel(score_label)
    _span(ax, rows)
    style.date_axis(ax)
    style.legend_below(ax, grow=own)
    return ax


@style.styled
def triggers_on_member_scores(decisions: pd.DataFrame, *, column: style.Column = "double") -> list[Axes]:
    """Draw an ensemble and its members one under the other, each on its own scale, on one axis of stream time.

    A member's mark is its vote; a line through all panels is a trigger. Members without scores are a line of marks.

    Args:
        decisions: Rows of one run's ``decisions.parquet``.
        column: How wide the figure is: as one column of a two-column paper, or as both (``double``).

    Returns:
        The axes of the ensemble and of each member, in the order of the decisions.

    Raises:
        RequestError: If there is nothing to draw, or no ensemble.
    """
    rows = _of_one_run(decisions)
    policies = list(dict.fromkeys(rows["policy"]))
    if len(policies) == 1:
        raise RequestError(f"{policies[0]} is no ensemble: draw triggers_on_scores")
    heights = [1.0 if rows.loc[rows["policy"] == policy, "score"].notna().any() else 0.45 for policy in policies]
    figure = style.new_figure(column, 0.5 + 0.95 * sum(heights))
    axes = list(figure.subplots(len(policies), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0])
    triggered = style.dates(rows.loc[rows["trigger_index"].notna(), "at_timestamp"].unique())
    handles: dict[str, Artist] = {}
    for ax, policy in zip(axes, policies, strict=True):
        for place, when in enumerate(triggered):
            ax.axvline(when, color="black", linewidth=0.5, zorder=0.5, label="_" if place else "trigger")
        _draw(ax, rows, policy)
        ax.set_title(policy, loc="left", pad=2)
        ax.tick_params(labelbottom=ax is axes[-1])
        handles |= dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    if "fired" in handles:
        handles["fired, or voted to"] = handles.pop("fired")
    _span(axes[-1], rows)
    style.date_axis(axes[-1])
    style.legend_below(axes[-1], grow=True, handles=handles)
    return axes


def _of_one_run(decisions: pd.DataFrame) -> pd.DataFrame:
    check_rows(decisions, _COLUMNS, name="decisions")
    if "run_id" in decisions and decisions["run_id"].nunique() > 1:
        raise RequestError(f"decisions holds {decisions['run_id'].nunique()} runs: give the rows of one run_id")
    return decisions.sort_values("at_timestamp", kind="stable")


def _draw(ax: Axes, rows: pd.DataFrame, policy: str) -> None:
    """Draw one policy's scores, thresholds, warm-up and firings."""
    own = rows[rows["policy"] == policy]
    x = style.dates(own["at_timestamp"])
    score, threshold = (own[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in ("score", "threshold"))
    fired = own["fired"].to_numpy(dtype=bool)
    _shade(ax, x, own["warmup"].to_numpy(dtype=bool))
    has_scores = bool(np.isfinite(score).any())
    if has_scores:
        marker = "o" if np.isfinite(score).sum() <= _MOST_MARKERS else ""
        ax.plot(x, score, color=_SCORE_COLOR, linewidth=0.9, marker=marker, markersize=1.8, label="score")
        ax.yaxis.set_major_locator(MaxNLocator(4))
        if np.nanmax(np.abs(score)) >= _LARGE:
            ax.yaxis.set_major_formatter(AmountFormatter())
    else:
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
    if np.isfinite(threshold).any():
        ax.plot(x, threshold, color="black", linestyle=(0, (4, 1.5)), linewidth=0.8, label="threshold")
    _mark(ax, x, score, fired & np.isfinite(score), label="fired", face=_FIRED_COLOR)
    bottom = 0.08 if has_scores else 0.5
    _mark(ax, x, None, fired & ~np.isfinite(score), label="fired without a score", face="white", bottom=bottom)


def _mark(
    ax: Axes,
    x: FloatArray,
    score: FloatArray | None,
    where: np.ndarray,
    *,
    label: str,
    face: str,
    bottom: float = 0.0,
) -> None:
    """Put a triangle where the policy fired: on the scores, or at a share of the axes' height."""
    if not where.any():
        return
    ax.plot(
        x[where],
        np.full(where.sum(), bottom) if score is None else score[where],
        linestyle="none",
        marker="v" if score is not None else "^",
        markersize=4.5,
        markerfacecolor=face,
        markeredgecolor="black",
        markeredgewidth=0.5,
        zorder=4,
        label=label,
        transform=ax.get_xaxis_transform() if score is None else ax.transData,
    )


def _shade(ax: Axes, x: FloatArray, warmup: np.ndarray) -> None:
    """Shade from the first to the last decision of every stretch of warm-up, up to the decision after it."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], warmup, [False]]).astype(np.int8)))
    for place, (first, after) in enumerate(zip(changes[::2], changes[1::2], strict=True)):
        end = x[min(after, len(x) - 1)]
        ax.axvspan(x[first], end, color=_WARMUP_COLOR, linewidth=0, zorder=0, label="_" if place else "warm-up")


def _span(ax: Axes, rows: pd.DataFrame) -> None:
    first, last = style.dates([rows["at_timestamp"].min(), rows["at_timestamp"].max()])
    pad = 0.01 * (last - first) or 0.5
    ax.set_xlim(first - pad, last + pad)
