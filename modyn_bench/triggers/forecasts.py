"""Forecasts of the next value of a short history: plain least squares, no library."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FORECASTS = ("rolling_average", "ridge")
_MIN_FOR_RIDGE = 5


def forecast_next(values: Sequence[float], *, method: str, penalty: float = 0.5) -> float:
    r"""Forecast the value that follows.

    ``rolling_average`` is the mean. ``ridge`` is the straight line through the values over 0, 1, …, n − 1 at n, its
    slope shrunk: with centred :math:`x, y`, slope :math:`x^\top y / (x^\top x + \alpha)`; below 5 values, the mean.

    Args:
        values: At least one, in order.
        method: ``rolling_average`` or ``ridge``.
        penalty: :math:`\alpha`.

    Example:
        >>> forecast_next([1.0, 2.0, 3.0], method="rolling_average")
        2.0
        >>> round(forecast_next([1.0, 2.0, 3.0, 4.0, 5.0], method="ridge"), 3)
        5.857

    Reference:
        Hoerl and Kennard, Ridge Regression, Technometrics 12, 1970.
    """
    if method == "rolling_average" or len(values) < _MIN_FOR_RIDGE:
        return float(np.mean(values))
    return ridge(np.arange(len(values)), values, at=len(values), penalty=penalty)


def ridge(x: Sequence[float] | np.ndarray, y: Sequence[float], *, at: float, penalty: float) -> float:
    """Return the value at a point of the line with a shrunk slope and a free intercept through some points.

    Example:
        >>> ridge([10.0], [7.0], at=99.0, penalty=1.0)
        7.0
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    centred = xs - xs.mean()
    slope = float(centred @ (ys - ys.mean())) / float(centred @ centred + penalty)
    return float(ys.mean()) + slope * (at - float(xs.mean()))
