"""The Pareto front of cost and value, and the area beneath it.

Shapes: P pipelines.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modyn_bench.errors import RequestError
from modyn_bench.types import FloatArray


def on_front(costs: FloatArray, values: FloatArray) -> np.ndarray:
    """Whether no other point is at least as good at both and better at one.

    Args:
        costs: Lower is better, shape (..., P).
        values: Higher is better, shape (..., P).

    Returns:
        Shape (..., P), bool.

    Example:
        >>> on_front(np.array([1, 2, 3]), np.array([0.5, 0.4, 0.6])).tolist()
        [True, False, True]
    """
    cost, other_cost = costs[..., :, None], costs[..., None, :]
    value, other_value = values[..., :, None], values[..., None, :]
    as_good = (other_cost <= cost) & (other_value >= value)
    better = (other_cost < cost) | (other_value > value)
    front: np.ndarray = ~np.any(as_good & better, axis=-1)
    return front


def area_under_front(
    costs: Sequence[float] | FloatArray,
    values: Sequence[float] | FloatArray,
    *,
    low: float,
    high: float,
    scale: str = "linear",
    floor: float = 0.0,
) -> float:
    r"""Return the area under the step-wise front of cost and value: what a budget between two bounds buys on average.

    .. math:: \frac{1}{g(h) - g(l)} \int_{g(l)}^{g(h)} \max(\{v_i : c_i \le g^{-1}(x)\} \cup \{f\}) \, dx

    A budget buys the best pipeline that costs no more; steps, because no pipeline lies between two others. Budgets
    below the cheapest pipeline buy the floor. On the scale ``linear`` every unit of budget counts the same, on ``log``
    every doubling does. Areas compare only under the same bounds, scale and floor.

    Args:
        costs: Shape (P,).
        values: Higher is better, shape (P,).
        low: The least budget, l.
        high: The largest one, h.
        scale: g: ``linear`` or ``log``.
        floor: f, what costs nothing: the value of the constant prediction, say.

    Raises:
        RequestError: If shapes do not fit, a number is not finite, the bounds hold no budget, or the scale is none.

    Example:
        >>> area_under_front([1.0, 3.0], [0.5, 0.9], low=0.0, high=4.0)
        0.475
        >>> round(area_under_front([1.0, 10.0], [0.5, 0.9], low=1.0, high=100.0, scale="log"), 4)
        0.7
    """
    cost, value = np.asarray(costs, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if cost.shape != value.shape or not np.isfinite([*cost, *value]).all():
        raise RequestError(f"the front needs finite costs and values in pairs, but has {cost.size} and {value.size}")
    if scale not in ("linear", "log"):
        raise RequestError(f"scale={scale!r} must be linear or log")
    if not low < high or (scale == "log" and low <= 0):
        raise RequestError(f"low={low} must be below high={high}, and above 0 on the scale log")
    order = np.argsort(cost, kind="stable")
    edges = np.clip(np.concatenate([[low], cost[order], [high]]), low, high)
    widths = np.diff(np.log(edges) if scale == "log" else edges)
    best = np.maximum.accumulate(np.concatenate([[floor], value[order]]))
    return float(widths @ best / widths.sum())
