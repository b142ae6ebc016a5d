"""The figures of a run, and of an evaluation under other options, show what was asked for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import synthetic_runs as synthetic
from matplotlib.axes import Axes

from modyn_bench.analysis import draw
from modyn_bench.analysis.draw import draw_run, save

SLICED = {"kind": "sliced", "every": "auto"}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Axes]:
    """The axes behind the files that are written, by name."""
    axes: dict[str, Axes] = {}

    def keep(ax: Axes, path: Path, *, dpi: int = 20) -> Path:
        axes[path.stem] = ax
        return save(ax, path, dpi=dpi)

    monkeypatch.setattr(draw, "save", keep)
    return axes


def of_kind(run: Path, name: str, *, served: bool) -> pd.DataFrame:
    frame = pd.read_parquet(run / "evaluations.parquet").assign(window_set=name)
    return frame if served else frame.assign(currently_active=False, currently_trained=False)


def test_an_evaluation_under_other_options_shows_its_own_first_metric(tmp_path: Path, drawn: dict[str, Axes]) -> None:
    run = synthetic.write_run(tmp_path, num_models=4, num_windows=8)
    config = {"metrics": ["loss", "accuracy"], "windows": {"sliced": SLICED}}
    own = synthetic.write_evaluation(run, config, of_kind(run, "sliced", served=True))
    draw_run(run, run / "evaluations" / own)
    assert drawn["composite_over_time"].get_ylabel() == "Mean loss"
    draw_run(run)
    assert drawn["composite_over_time"].get_ylabel() == "Accuracy"


def test_where_the_first_windows_have_no_composite_model_the_next_are_drawn(
    tmp_path: Path, drawn: dict[str, Axes]
) -> None:
    run = synthetic.write_run(tmp_path, num_models=4, num_windows=8)
    config = {"metrics": ["accuracy"], "windows": {"after": {"kind": "offset", "offsets": ["1y"]}, "sliced": SLICED}}
    frames = [of_kind(run, "after", served=False), of_kind(run, "sliced", served=True)]
    own = synthetic.write_evaluation(run, config, *frames)
    paths = draw_run(run, run / "evaluations" / own)
    assert [path.stem for path in paths] == ["evaluation_heatmap", "composite_over_time", "cost_by_stage"]
    assert [path.stem for path in draw_run(run, run / "evaluations" / own, window_set="after")] == [
        "evaluation_heatmap",
        "cost_by_stage",
    ]
