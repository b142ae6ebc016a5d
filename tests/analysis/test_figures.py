"""Every figure shows the numbers of its frames: its artists are read back."""

from __future__ import annotations

import re
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import synthetic_runs as synthetic
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.dates import num2date

from modyn_bench.analysis import style
from modyn_bench.analysis.figures.composite_over_time import composite_over_time
from modyn_bench.analysis.figures.cost_by_policy import cost_by_policy
from modyn_bench.analysis.figures.cost_by_stage import cost_by_stage
from modyn_bench.analysis.figures.evaluation_heatmap import evaluation_heatmap
from modyn_bench.analysis.figures.pareto import aggregate, pareto, pareto_front
from modyn_bench.analysis.frames import cells, composite_series
from modyn_bench.errors import RequestError

TRIGGERS = synthetic.triggers(5)
MODELS = synthetic.models(TRIGGERS)
EVALUATIONS = synthetic.evaluations(MODELS, num_windows=12)
ACCURACY = EVALUATIONS[EVALUATIONS["metric"] == "accuracy"]


def line(ax, label: str):
    """The line of a legend entry."""
    return next(line for line in ax.lines if line.get_label() == label)


def texts_of(ax) -> list[str]:
    """The ticks of the horizontal axis."""
    return [label.get_text() for label in ax.get_xticklabels()]


def mesh_of(ax) -> np.ma.MaskedArray:
    (mesh,) = [item for item in ax.collections if isinstance(item, QuadMesh)]
    return mesh.get_array()


class TestHeatmap:
    def test_cells_hold_the_matrix(self) -> None:
        shuffled = EVALUATIONS.sample(frac=1, random_state=np.random.RandomState(0))
        values = mesh_of(evaluation_heatmap(shuffled, MODELS, metric="accuracy"))
        expected = ACCURACY.pivot(index="model_id", columns="window_id", values="value").to_numpy()
        assert values.shape == (5, 12)
        assert np.array_equal(values.mask, np.isnan(expected))
        assert values.mask[:, 7].all()
        np.testing.assert_array_equal(values.compressed(), expected[~np.isnan(expected)])

    def test_rows_are_framed_over_what_arrived_for_them(self) -> None:
        ax = evaluation_heatmap(EVALUATIONS, MODELS)
        (frames,) = [item for item in ax.collections if isinstance(item, PolyCollection) and item.get_gid()]
        for model, path in enumerate(frames.get_paths()):
            x, y = path.vertices[:, 0], path.vertices[:, 1]
            assert (x.min(), x.max()) == pytest.approx(
                tuple(MODELS.loc[model, ["data_first_timestamp", "data_last_timestamp"]].to_numpy(float) / 86_400)
            )
            assert y.mean() == pytest.approx(model, abs=0.2)

    @pytest.mark.parametrize("variant", ["currently_active", "currently_trained"])
    def test_dots_stand_on_the_composites_cells(self, variant: str) -> None:
        dots = line(evaluation_heatmap(EVALUATIONS, MODELS), style.VARIANT_NAMES[variant])
        served = ACCURACY[ACCURACY[variant]]
        middle = (served["window_start"] + served["window_end"]) / 2 / 86_400
        expected = set(zip(middle.round(6), served["model_id"], strict=True))
        assert set(zip(np.round(dots.get_xdata(), 6), dots.get_ydata(), strict=True)) == expected

    def test_a_lower_loss_is_as_bright_as_a_higher_accuracy(self) -> None:
        maps = {}
        for metric in ("accuracy", "loss"):
            ax = evaluation_heatmap(EVALUATIONS, MODELS, metric=metric)
            maps[metric] = next(item for item in ax.collections if isinstance(item, QuadMesh)).get_cmap()
        assert to_hex(maps["accuracy"](1.0)) == to_hex(maps["loss"](0.0))

    @pytest.mark.parametrize("anchor", ["window_start", "center"])
    def test_overlapping_windows_stand_side_by_side_at_their_middles(self, anchor: str) -> None:
        sliding = EVALUATIONS.assign(window_end=lambda rows: rows["window_end"] + synthetic.YEAR)
        middles = (sliding["window_start"] + sliding["window_end"]) // 2
        ax = evaluation_heatmap(sliding.assign(anchor=sliding.get(anchor, middles)), MODELS)
        assert mesh_of(ax).shape == (5, 12)
        edges = next(item for item in ax.collections if isinstance(item, QuadMesh)).get_coordinates()[0, :, 0]
        shown = np.sort(middles.unique()) / 86_400
        np.testing.assert_allclose(edges[1:-1], (shown[1:] + shown[:-1]) / 2, atol=1e-4)  # days
        assert edges[0] < shown[0]
        assert shown[-1] < edges[-1]

    def test_gaps_between_windows_stay_gaps(self) -> None:
        holes = EVALUATIONS[~EVALUATIONS["window_id"].isin([3, 4])]
        values = mesh_of(evaluation_heatmap(holes, MODELS))
        assert values.shape == (5, 11)  # ten windows and one gap
        assert values.mask[:, 3].all()
        assert not values.mask[:, 4].any()

    def test_windows_that_no_time_axis_holds_apart_stand_one_after_the_other(self) -> None:
        nested = EVALUATIONS.assign(window_start=synthetic.START)
        ax = evaluation_heatmap(nested, MODELS)
        assert mesh_of(ax).shape == (5, 12)
        assert ax.get_xlabel() == "Evaluation window"
        assert ax.get_xticklabels()[0].get_text() == "1993-01-01\nto 1993-07-02"
        assert not [item for item in ax.collections if item.get_gid() == "arrivals"]
        hours = EVALUATIONS.assign(window_start=synthetic.START, window_end=lambda rows: rows["window_id"] * 60 + 9)
        assert texts_of(evaluation_heatmap(hours.assign(window_end=hours["window_end"] + synthetic.START), MODELS))[
            0
        ] == ("1993-01-01 00:00:00\nto 1993-01-01 00:00:09")

    def test_cells_that_were_not_computed_are_undefined(self) -> None:
        served = EVALUATIONS[EVALUATIONS["currently_active"] | EVALUATIONS["currently_trained"]]
        assert mesh_of(evaluation_heatmap(served, MODELS)).count() < 5 * 12

    def test_a_large_matrix_keeps_every_cell_and_few_labels(self) -> None:
        triggers = synthetic.triggers(200, every=synthetic.YEAR // 10)
        models = synthetic.models(triggers)
        frame = synthetic.evaluations(models, num_windows=300, every=synthetic.YEAR // 15, metrics=("accuracy",))
        ax = evaluation_heatmap(frame, models)
        assert mesh_of(ax).shape == (200, 300)
        assert len(ax.get_yticks()) <= 15

    def test_one_model_on_one_window_can_be_drawn(self) -> None:
        frame = ACCURACY[(ACCURACY["model_id"] == 0) & (ACCURACY["window_id"] == 3)]
        ax = evaluation_heatmap(frame, MODELS)
        ax.figure.draw_without_rendering()
        assert mesh_of(ax).shape == (1, 1)

    def test_a_model_that_saw_no_arrivals_has_no_frame(self) -> None:
        models = MODELS.copy()
        models.loc[2, ["data_first_timestamp", "data_last_timestamp"]] = pd.NA
        ax = evaluation_heatmap(EVALUATIONS, models)
        (frames,) = [item for item in ax.collections if isinstance(item, PolyCollection) and item.get_gid()]
        assert len(frames.get_paths()) == 4


class TestCompositeOverTime:
    def test_lines_are_the_composites_with_gaps_where_there_is_no_model(self) -> None:
        ax = composite_over_time(EVALUATIONS, metric="accuracy", triggers=TRIGGERS)
        for variant, label in style.VARIANT_NAMES.items():
            series = composite_series(ACCURACY, variant)
            drawn = line(ax, label)
            np.testing.assert_array_equal(drawn.get_ydata(), series["value"].to_numpy(float))
            np.testing.assert_allclose(drawn.get_xdata(), series["anchor"] / 86_400)
        active = line(ax, "currently active").get_ydata()
        assert np.isnan(active[[0, 1, 7]]).all()
        assert np.isfinite(np.delete(active, [0, 1, 7])).all()
        np.testing.assert_allclose(line(ax, "trigger").get_xdata(), TRIGGERS["fired_at"] / 86_400)

    def test_runs_of_a_policy_are_one_line_with_their_mean_and_number(self) -> None:
        runs = [
            synthetic.evaluations(MODELS, num_windows=12, seed=seed).assign(run_id=f"run{seed}", policy="yearly")
            for seed in range(3)
        ]
        frame = pd.concat(runs)
        ax = composite_over_time(frame, metric="accuracy", by="policy", variants=["currently_active"])
        assert [drawn.get_label() for drawn in ax.lines] == ["yearly (n = 3)"]
        parts = [composite_series(run[run["metric"] == "accuracy"], "currently_active")["value"] for run in runs]
        np.testing.assert_allclose(ax.lines[0].get_ydata(), np.mean(parts, axis=0))
        (band,) = ax.collections
        top = band.get_paths()[0].vertices[:, 1].max()
        assert top == pytest.approx(np.nanmax(np.mean(parts, axis=0) + np.std(parts, axis=0, ddof=1)))

    def test_a_mean_is_drawn_only_where_every_run_has_a_value(self) -> None:
        late = synthetic.evaluations(MODELS, num_windows=12, seed=1)
        late.loc[late["window_id"] < 5, "currently_active"] = False  # its first model came later
        runs = [EVALUATIONS, late]
        frame = pd.concat([run.assign(run_id=f"run{n}", policy="yearly") for n, run in enumerate(runs)])
        ax = composite_over_time(frame, metric="accuracy", by="policy", variants=["currently_active"])
        parts = [composite_series(run[run["metric"] == "accuracy"], "currently_active")["value"] for run in runs]
        drawn = ax.lines[0].get_ydata()
        np.testing.assert_array_equal(drawn, np.mean([part.to_numpy(float) for part in parts], axis=0))
        assert np.isnan(drawn[:5]).all()
        assert np.isfinite(parts[0][2:5]).all()

    def test_of_many_windows_some_are_marked_and_those_that_stand_alone(self) -> None:
        frame = synthetic.evaluations(MODELS, num_windows=300, every=synthetic.YEAR // 30, metrics=("accuracy",))
        frame.loc[frame["window_id"].isin([201, 203]), "value"] = np.nan
        drawn = line(composite_over_time(frame), "currently trained")
        assert np.isfinite(drawn.get_ydata()[202])
        assert 202 in drawn.get_markevery()
        assert len(drawn.get_markevery()) <= 62

    def test_lines_differ_without_colour_and_look_as_they_are_told(self) -> None:
        frame = pd.concat([ACCURACY.assign(policy=name, run_id=name) for name in "abcdef"])
        order = {name: place for place, name in enumerate("fedcba")}
        ax = composite_over_time(frame, by="policy", variants=["currently_active"], order=order)
        looks = {drawn.get_label(): (drawn.get_marker(), drawn._dash_pattern) for drawn in ax.lines}
        assert len(set(map(str, looks.values()))) == 6
        assert looks["f"][0] == style.MARKERS[0]
        assert line(ax, "f").get_color() == style.COLORS[0]
        points = pd.DataFrame({"policy": list("abcdef"), "cost": range(6), "value": range(6)})
        pareto_points = pareto(points, cost="cost", by="policy", order=order)
        for container in pareto_points.containers:
            name = container.get_label()[0]
            assert (container[0].get_color(), container[0].get_marker()) == (line(ax, name).get_color(), looks[name][0])

    def test_the_axis_shows_dates_and_the_metric(self) -> None:
        ax = composite_over_time(EVALUATIONS, metric="accuracy")
        low, high = (num2date(bound) for bound in ax.get_xlim())
        assert (low.year, high.year) == (1992, 1999)
        assert ax.get_ylabel() == "Accuracy"
        assert ax.get_xlabel() == "Stream time"


class TestCostByStage:
    STAGES = synthetic.stages(TRIGGERS)

    @pytest.mark.parametrize("quantity", ["seconds", "forward_passes"])
    def test_bars_stack_to_what_each_trigger_cost(self, quantity: str) -> None:
        ax = cost_by_stage(self.STAGES, TRIGGERS, quantity=quantity)
        heights = np.sum([[bar.get_height() for bar in container] for container in ax.containers], axis=0)
        expected = self.STAGES.groupby("trigger_index", dropna=False)[quantity].sum().to_numpy(float)
        np.testing.assert_allclose(heights, expected)

    def test_the_legend_gives_totals_and_shares(self) -> None:
        ax = cost_by_stage(self.STAGES, TRIGGERS)
        texts = [text.get_text() for text in ax.get_legend().get_texts()]
        total = self.STAGES["seconds"].sum()
        train = self.STAGES.loc[self.STAGES["stage"] == "train", "seconds"].sum()
        assert f"train: {train:.3g} s ({train / total:.0%})" in texts
        assert ax.get_legend().get_title().get_text() == f"Total: {total:.3g} s"

    def test_bars_are_dated_and_the_last_is_the_rest(self) -> None:
        ax = cost_by_stage(self.STAGES, TRIGGERS)
        assert [label.get_text() for label in ax.get_xticklabels()] == [
            "1993-12",
            "1994-12",
            "1995-12",
            "1996-12",
            "1997-12",
            "rest",
        ]
        assert [label.get_text() for label in cost_by_stage(self.STAGES).get_xticklabels()][:2] == ["0", "1"]

    def test_a_stage_of_another_policy_is_drawn_too(self) -> None:
        more = pd.concat([self.STAGES, self.STAGES.iloc[:1].assign(stage="calibrate")])
        texts = [text.get_text() for text in cost_by_stage(more).get_legend().get_texts()]
        assert any(text.startswith("calibrate") for text in texts)

    def test_policies_stand_side_by_side_with_the_mean_over_their_runs(self) -> None:
        frames = [
            self.STAGES.assign(run_id=f"{policy}{seed}", policy=policy, seconds=self.STAGES["seconds"] * factor)
            for policy, factors in (("a", (1.0, 3.0)), ("b", (5.0,)))
            for seed, factor in enumerate(factors)
        ]
        ax = cost_by_policy(pd.concat(frames))
        bars = [c for c in ax.containers if hasattr(c, "patches")]
        widths = np.sum([[bar.get_width() for bar in container] for container in bars], axis=0)
        np.testing.assert_allclose(widths, np.array([2.0, 5.0]) * self.STAGES["seconds"].sum())
        assert [label.get_text() for label in ax.get_yticklabels()] == ["a (n = 2)", "b (n = 1)"]


class TestPareto:
    POINTS = pd.DataFrame(
        {
            "configuration": ["a", "a", "a", "b", "c", "c"],
            "passes": [10.0, 10.0, 13.0, 20.0, 15.0, 15.0],
            "value": [0.5, 0.6, 0.7, 0.9, 0.2, 0.4],
        }
    )

    def test_points_are_means_with_deviations_and_n(self) -> None:
        table = aggregate(self.POINTS, cost="passes", value="value", by="configuration")
        assert table["cost"].to_dict() == {"a": 11.0, "b": 20.0, "c": 15.0}
        assert table.loc["a", "value_std"] == pytest.approx(np.std([0.5, 0.6, 0.7], ddof=1))
        assert table["n"].tolist() == [3, 1, 2]
        ax = pareto(self.POINTS, cost="passes")
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert labels == ["Pareto front", "a (n = 3)", "b (n = 1)", "c (n = 2)"]
        for container, (name, row) in zip(ax.containers, table.iterrows(), strict=True):
            data_line, _, bars = container
            assert (data_line.get_xdata()[0], data_line.get_ydata()[0]) == (row["cost"], row["value"])
            assert container.has_yerr == (row["n"] > 1), name
            if row["n"] > 1:
                low, high = bars[1].get_segments()[0][:, 1]
                assert (high - low) / 2 == pytest.approx(row["value_std"])

    @pytest.mark.parametrize(
        "costs", [(60_000, 60_010, 60_020), (1_000_100, 1_000_140, 1_000_160), (1, 1, 2), (5, 5, 5)]
    )
    def test_ticks_of_near_costs_are_distinct_exact_and_apart(self, costs: tuple[int, ...]) -> None:
        ax = pareto(pd.DataFrame({"configuration": list("abc"), "cost": costs, "value": [0.1, 0.2, 0.3]}), cost="cost")
        ax.figure.draw_without_rendering()
        low, high = ax.get_xlim()
        shown = [label for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high]
        assert costs != (5, 5, 5) or [label.get_text() for label in shown] == ["4", "5", "6"]
        for label in shown:
            number, unit = re.fullmatch(r"([\d.]+)([kM]?)", label.get_text()).groups()
            assert float(number) * {"": 1, "k": 1e3, "M": 1e6}[unit] == pytest.approx(label.get_position()[0], rel=1e-9)
        check_apart(shown)

    def test_the_front_is_what_no_other_beats(self) -> None:
        front = line(pareto(self.POINTS, cost="passes"), "Pareto front")
        assert list(zip(front.get_xdata(), front.get_ydata(), strict=True)) == [(11.0, pytest.approx(0.6)), (20.0, 0.9)]

    def test_the_front_agrees_with_its_definition(self) -> None:
        drawn = np.random.Generator(np.random.PCG64(3)).integers(0, 6, (60, 2)).astype(float)
        cost, value = pd.Series(drawn[:, 0]), pd.Series(drawn[:, 1])
        for higher in (True, False):
            sign = 1 if higher else -1
            expected = [
                not any(c2 <= c and sign * v2 >= sign * v and (c2 < c or sign * v2 > sign * v) for c2, v2 in drawn)
                for c, v in drawn
            ]
            assert pareto_front(cost, value, higher_is_better=higher).tolist() == expected

    def test_of_many_policies_only_the_front_is_named(self) -> None:
        points = pd.DataFrame({"configuration": [f"p{n}" for n in range(30)], "cost": range(30), "value": [0.5] * 30})
        labels = [text.get_text() for text in pareto(points, cost="cost").get_legend().get_texts()]
        assert labels == ["Pareto front", "p0 (n = 1)"]

    def test_undefined_values_are_no_points(self) -> None:
        points = self.POINTS.assign(value=[np.nan, 0.6, 0.7, np.nan, 0.2, 0.4])
        table = aggregate(points, cost="passes", value="value", by="configuration")
        assert table["n"].to_dict() == {"a": 2, "c": 2}


class TestFrames:
    def test_the_first_metric_and_window_set_are_taken_by_default(self) -> None:
        assert cells(EVALUATIONS)["metric"].unique().tolist() == ["accuracy"]

    def test_an_unknown_metric_is_answered_with_those_there_are(self) -> None:
        with pytest.raises(RequestError, match="there is accuracy, loss"):
            cells(EVALUATIONS, metric="roc_auc")

    def test_nothing_to_draw_is_an_error_that_says_so(self) -> None:
        with pytest.raises(RequestError, match="nothing to draw"):
            evaluation_heatmap(EVALUATIONS.iloc[:0], MODELS)
        stages = TestCostByStage.STAGES.assign(run_id="a", policy="a").iloc[:0]
        for draw in (cost_by_stage, cost_by_policy):
            with pytest.raises(RequestError, match="nothing to draw: stages has no rows"):
                draw(stages)
        with pytest.raises(RequestError, match="nothing to draw: points has no rows"):
            pareto(TestPareto.POINTS.iloc[:0], cost="passes")

    def test_cells_of_several_runs_are_told_from_cells_of_one(self) -> None:
        with pytest.raises(RequestError, match="needs a column run_id"):
            composite_over_time(pd.concat([EVALUATIONS, EVALUATIONS]))


def check_apart(labels) -> None:
    """Texts differ, and stand clear of each other."""
    labels = [label for label in labels if label.get_text()]
    assert len({label.get_text() for label in labels}) == len(labels)
    boxes = [label.get_window_extent() for label in labels]
    for box, other in pairwise(boxes):
        assert not box.overlaps(other)


SPANS = {"3 hours": 10_800, "3 days": 259_200, "3 months": 90 * 86_400, "30 years": 30 * synthetic.YEAR}


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("num_triggers", [2, 9, 40])
def test_time_labels_are_distinct_and_apart(span: str, num_triggers: int) -> None:
    start = synthetic.START + 9 * 3600 + 1234
    triggers = synthetic.triggers(num_triggers, every=SPANS[span] // num_triggers, start=start)
    models = synthetic.models(triggers)
    frame = synthetic.evaluations(models, num_windows=12, every=SPANS[span] // 12)
    for ax, labels in (
        (heatmap := evaluation_heatmap(frame, models), heatmap.get_yticklabels),
        (heatmap, heatmap.get_xticklabels),
        (nested := evaluation_heatmap(frame.assign(window_start=synthetic.START), models), nested.get_xticklabels),
        (costs := cost_by_stage(synthetic.stages(triggers), triggers), costs.get_xticklabels),
        (series := composite_over_time(frame), series.get_xticklabels),
    ):
        ax.figure.draw_without_rendering()
        check_apart(labels())


def test_triggers_of_one_second_are_told_apart_by_their_numbers() -> None:
    triggers = synthetic.triggers(3).assign(fired_at=synthetic.START)
    assert texts_of(cost_by_stage(synthetic.stages(triggers), triggers)) == [
        *(f"{number}:\n1993-01-01" for number in range(3)),
        "rest",
    ]


LONG = [f"time every={weeks}w / new_data history=all / start_from=scratch / flush=true" for weeks in (4, 13, 26)]


@pytest.mark.parametrize("names", [LONG, [name[:14] for name in LONG]], ids=["long", "short"])
@pytest.mark.parametrize("figure", ["composite_over_time", "pareto", "cost_by_policy"])
def test_names_of_policies_leave_room_for_the_axes(figure: str, names: list[str]) -> None:
    runs = [(name, seed) for name in names for seed in range(2)]
    if figure == "pareto":
        points = [{"policy": name, "cost": 1e6 + seed, "value": 0.5} for name, seed in runs]
        ax = pareto(pd.DataFrame(points), cost="cost", by="policy")
    elif figure == "cost_by_policy":
        frames = [synthetic.stages(TRIGGERS).assign(policy=name, run_id=f"{name}{seed}") for name, seed in runs]
        ax = cost_by_policy(pd.concat(frames))
    else:
        frames = [ACCURACY.assign(policy=name, run_id=f"{name}{seed}") for name, seed in runs]
        ax = composite_over_time(pd.concat(frames), by="policy", variants=["currently_active"])
    ax.figure.draw_without_rendering()
    page, axes = ax.figure.bbox, ax.get_window_extent()
    assert axes.width > 0.5 * page.width
    assert axes.height > 1.0 * ax.figure.dpi
    texts = [*ax.get_legend().get_texts(), *(ax.get_yticklabels() if figure == "cost_by_policy" else ())]
    for text in texts:
        box = text.get_window_extent()
        assert page.x0 <= box.x0, text
        assert box.x1 <= page.x1, text
        assert page.y0 <= box.y0, text
    shown = " ".join(text.get_text().replace("\n", " ") for text in texts)
    assert all(f"{name} (n = 2)" in shown for name in names)


def test_drawing_leaves_matplotlibs_settings_and_pyplot_alone() -> None:
    before = dict(mpl.rcParams)
    evaluation_heatmap(EVALUATIONS, MODELS)
    cost_by_stage(TestCostByStage.STAGES)
    assert dict(mpl.rcParams) == before
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []


def test_axes_of_ones_own_are_drawn_into() -> None:
    ax = style.new_axes()
    assert composite_over_time(EVALUATIONS, ax=ax) is ax
    assert ax.lines


@pytest.mark.parametrize("palette", [style.COLORS, tuple(style.STAGE_COLORS.values())])
def test_colors_differ_in_grey_or_come_with_a_second_mark(palette: tuple[str, ...]) -> None:
    assert len(set(palette)) == len(palette)
    assert len(palette) <= len(style.MARKERS)
    plain = [stage for stage, hatch in style.STAGE_HATCHES.items() if not hatch]
    greys = sorted(np.dot(mpl.colors.to_rgb(style.STAGE_COLORS[stage]), (0.2126, 0.7152, 0.0722)) for stage in plain)
    assert min(np.diff(greys)) > 0.15
