"""The page's charts are what plotly takes, and say what the tables say; options and questions are in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import synthetic_runs as synthetic

from modyn_bench.analysis import style
from modyn_bench.analysis.continual.periods import matrix_of
from modyn_bench.analysis.continual.transfer import backward_transfer
from modyn_bench.analysis.page.html import render
from modyn_bench.analysis.page.pareto import pareto
from modyn_bench.analysis.page.section import Section, Table
from modyn_bench.analysis.report import charts as report_charts
from modyn_bench.analysis.report.charts import Compared, charts
from modyn_bench.analysis.report.comparisons import Comparisons, compare_paths
from modyn_bench.analysis.report.continual import continual_section
from modyn_bench.analysis.report.costs import cost_section
from modyn_bench.analysis.report.options import differing_options
from modyn_bench.analysis.report.question import question
from modyn_bench.analysis.report.sections import order_of, sections
from modyn_bench.types import BACKWARD

YEAR = synthetic.YEAR


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparisons:
    """Two policies of three seeds each."""
    root = tmp_path_factory.mktemp("root")
    for seed in range(3):
        synthetic.write_run(root, num_models=6, num_windows=12, seed=seed, level=0.5 + 0.02 * seed)
        synthetic.write_run(root, num_models=3, num_windows=12, every=2 * YEAR, seed=seed, level=0.4)
    return compare_paths([root])


@pytest.fixture(scope="module")
def written(compared: Comparisons, tmp_path_factory: pytest.TempPathFactory) -> list[Section]:
    out = tmp_path_factory.mktemp("report")
    for folder in ("figures", "tables"):
        (out / folder).mkdir()
    return list(sections(compared, out))


def chart(written: list[Section], title: str):
    return next(chart for section in written for chart in section.charts if chart.title == title)


def trace(figure: dict, name: str, **wanted: object) -> dict:
    found = [each for each in figure["data"] if each.get("meta") == name]
    return next(each for each in found if all(each.get(key) == value for key, value in wanted.items()))


def test_plotly_takes_every_figure(written: list[Section]) -> None:
    figures = [choice.figure for section in written for chart in section.charts for choice in chart.choices]
    assert len(figures) == 2 * (2 + 1 + 2) + 3  # metrics times costs, lines and matrices; quantities
    for figure in figures:
        go.Figure(figure)  # refuses what its schema does not know
        assert len(json.dumps(figure, allow_nan=False)) < 30_000


def test_lines_are_the_means_over_seeds_with_their_deviation(compared: Comparisons, written: list[Section]) -> None:
    (choice,) = chart(written, "Over time").choices
    line = trace(choice.figure, "every=365d", mode="lines+markers")
    cells = compared.loaded.evaluations.query("metric == 'accuracy' and currently_active")
    cells = cells[cells["run_id"].map(compared.loaded.policies) == "every=365d"]
    expected = cells.groupby("anchor")["value"].agg(["mean", "std", "count"]).query("count == 3")
    found = {x // 1000: (y, std) for x, y, std in zip(line["x"], line["y"], line["customdata"], strict=True) if y}
    assert list(found) == list(expected.index)
    np.testing.assert_allclose(list(found.values()), expected[["mean", "std"]], rtol=1e-3)
    band = trace(choice.figure, "every=365d", fill="toself")
    assert band["x"].count(None) == 2  # the window without samples cuts it into two
    assert max(value for value in band["y"] if value) == pytest.approx(
        (expected["mean"] + expected["std"]).max(), rel=1e-3
    )


def test_a_policy_looks_the_same_in_all_charts(compared: Comparisons, written: list[Section]) -> None:
    (lines,), (points, _) = (chart(written, title).choices for title in ("Over time", "Value against cost"))
    order = order_of([rows for _, rows in compared.kept])
    assert list(order.values()) == [0, 1]
    for policy, place in order.items():
        wanted = style.look(place)
        dash, symbol = [("solid", "circle"), ("dash", "square")][place]
        line, point = trace(lines.figure, policy, mode="lines+markers"), trace(points.figure, policy)
        assert (line["line"]["color"], line["line"]["dash"]) == (wanted.color, dash)
        assert line["marker"]["symbol"] == point["marker"]["symbol"] == symbol
        assert line["marker"]["line"]["color"] == point["marker"]["line"]["color"] == wanted.color
        red, green, blue = (int(wanted.color[at : at + 2], 16) for at in (1, 3, 5))
        band = trace(lines.figure, policy, fill="toself")
        assert band["fillcolor"].startswith(f"rgba({red},{green},{blue},")


def test_the_front_joins_what_none_beats_and_the_beaten_are_hollow() -> None:
    points = pd.DataFrame({"policy": list("abcd"), "cost": [3, 1, 2, 4], "value": [0.6, 0.3, 0.2, 0.5], "n": 1})
    names = {name: place for place, name in enumerate("abcd")}
    labels = {"cost_label": "Cost", "value_label": "Value", "by": "policy", "cost": "cost", "order": names}
    for higher, front in ((True, ["b", "a"]), (False, ["b", "c"])):
        figure = pareto(points, higher_is_better=higher, **labels)
        on_front = points.set_index("policy").loc[front]
        line = trace(figure, "Pareto front")
        assert line["x"] == on_front["cost"].tolist()
        assert line["y"] == on_front["value"].tolist()
        filled = {name for name in names if trace(figure, name)["marker"]["color"] == style.look(names[name]).color}
        assert filled == set(front)
        assert {trace(figure, name)["marker"]["color"] for name in set(names) - filled} == {"white"}


def test_points_are_the_tables_means(compared: Comparisons, written: list[Section]) -> None:
    passes, triggers = chart(written, "Value against cost").choices
    assert (passes.name, triggers.name) == ("Sample passes", "Triggers")
    table = compared.table.query("metric == 'accuracy' and variant == 'currently_active' and aggregate == 'mean'")
    for row in table.itertuples():
        point = trace(passes.figure, row.policy)
        assert point["x"] == pytest.approx([row.sample_passes_mean])
        assert point["y"] == pytest.approx([row.value_mean], rel=1e-3)
        assert point["error_y"]["array"] == pytest.approx([row.value_std], rel=1e-2)


def test_what_models_learn_is_told_by_the_first_metric(compared: Comparisons, written: list[Section]) -> None:
    (section,) = (section for section in written if "learn and forget" in section.title)
    assert section.title.endswith("by accuracy")
    (table,) = section.tables
    assert [row[:3] for row in table.rows] == [["every=365d", "3", "6"], ["every=730d", "3", "3"]]
    numbers = pd.read_csv(next(path for path in table.files if path.suffix == ".csv")).set_index("policy")
    loaded = compared.loaded
    for policy, row in numbers.iterrows():
        last = []
        for run_id in (run_id for run_id, name in loaded.policies.items() if name == policy):
            own = [frame[frame["run_id"] == run_id] for frame in (loaded.evaluations, loaded.models)]
            last.append(backward_transfer(matrix_of(*own, metric="accuracy"))["value"].iloc[-1])
        assert row["backward_transfer_mean"] == pytest.approx(np.mean(last))
        assert row["backward_transfer_std"] == pytest.approx(np.std(last, ddof=1))


def test_composites_alone_do_not_say_what_models_learn(compared: Comparisons, tmp_path: Path) -> None:
    cohort, rows = compared.kept[0]
    manifests = {
        run: {**manifest, "config": {**manifest["config"], "evaluation": {"models": "composite"}}}
        for run, manifest in compared.loaded.manifests.items()
    }
    accuracy = rows[rows["metric"] == "accuracy"]
    of = Compared(replace(compared.loaded, manifests=manifests), cohort, accuracy, {}, tmp_path)
    section = continual_section(of, tmp_path)
    assert section is not None
    assert not section.tables
    assert section.text.startswith("6 of 6 runs evaluated the cells of composite models alone")


def test_what_was_not_evaluated_is_not_called_undefined(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "root", config={"evaluation": {"models": "composite"}})
    cells = pd.read_parquet(run / "evaluations.parquet")
    serving = cells[cells["currently_active"] | cells["currently_trained"]]
    synthetic.replace(run, evaluations=serving)
    alone = compare_paths([run])
    ((cohort, rows),) = alone.kept
    of = Compared(alone.loaded, cohort, rows[rows["metric"] == "accuracy"], order_of([rows]), tmp_path)
    matrix = charts(of)[-1]
    assert "every model" not in matrix.caption
    assert "or not evaluated" in matrix.caption
    words = matrix.choices[0].figure["data"][0]["meta"]
    unknown = serving[(serving["metric"] == "accuracy") & serving["value"].isna()]
    assert sorted(words["undefined"]) == sorted(unknown[["model_id", "window_id"]].to_numpy().tolist())
    assert len(unknown) == 2


def test_a_frame_is_around_what_was_new_to_the_model_in_its_row(compared: Comparisons, written: list[Section]) -> None:
    frames = trace(chart(written, "Evaluation matrix").choices[0].figure, "new to the model")
    models = compared.loaded.models.drop_duplicates("model_id").sort_values(
        "model_id"
    )  # of every=365d, all seeds alike
    assert len(models) == 6
    for row, model in enumerate(models.itertuples()):
        corners = slice(6 * row, 6 * row + 5)
        x, y = frames["x"][corners], frames["y"][corners]
        first, last = 1000 * model.data_first_timestamp, 1000 * model.data_last_timestamp
        assert x == [first, last, last, first, first]
        assert min(y) < row < max(y)
        assert (max(y) - min(y), sum(y[:4]) / 4) == pytest.approx((0.84, row))


def test_files_of_matrices_have_the_colours_of_the_page(
    compared: Comparisons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(report_charts, "save_files", lambda ax, *_: drawn.append(ax) or [])
    cohort, rows = compared.kept[0]
    of = Compared(compared.loaded, cohort, rows[rows["metric"] == "accuracy"], order_of([rows]), tmp_path)
    page = [choice.figure["data"][0] for choice in charts(of)[-1].choices]
    for ax, shown in zip(drawn[-2:], page, strict=True):
        assert ax.collections[0].get_clim() == pytest.approx((shown["zmin"], shown["zmax"]), rel=1e-3)


def test_a_matrix_is_that_of_the_run_nearest_to_the_mean(compared: Comparisons, written: list[Section]) -> None:
    first = chart(written, "Evaluation matrix").choices[0]
    assert first.name == "every=365d (seed 1)"  # the levels of the seeds are 0.50, 0.52 and 0.54
    runs = compared.runs
    (run_id,) = runs[(runs["policy"] == "every=365d") & (runs["seed"] == 1)]["run_id"].unique()
    cells = compared.loaded.evaluations
    cells = cells[(cells["run_id"] == run_id) & (cells["metric"] == "accuracy")]
    expected = cells.pivot(index="model_id", columns="window_id", values="value").to_numpy()
    shown = first.figure["data"][0]
    np.testing.assert_allclose(np.array(shown["z"], dtype=float), expected, rtol=1e-3)
    serving = {(row, column) for row, column, role in shown["meta"]["serving"] if role == "currently active"}
    assert serving == set(
        cells[cells["currently_active"]][["model_id", "window_id"]].itertuples(index=False, name=None)
    )
    assert (
        len(
            {
                (each.figure["data"][0]["zmin"], each.figure["data"][0]["zmax"])
                for each in chart(written, "Evaluation matrix").choices
            }
        )
        == 1
    )  # colours mean the same in all


def test_costs_are_the_stages_sums(compared: Comparisons, written: list[Section]) -> None:
    seconds = chart(written, "By stage").choices[0]
    train = trace(seconds.figure, "train")
    stages = compared.loaded.stages
    stages = stages.assign(policy=stages["run_id"].map(compared.loaded.policies)).query("stage == 'train'")
    expected = stages.groupby("policy")["seconds"].sum() / 3
    assert dict(zip(train["text"], train["x"], strict=True)) == pytest.approx(expected.to_dict(), rel=1e-3)
    costs = next(section for section in written if section.title.endswith("cost"))
    numbers = pd.read_csv(next(path for path in costs.all_files if path.suffix == ".csv"))
    total = numbers.query("stage == 'total'").set_index("policy")
    spent = total["forward_passes_mean"] + BACKWARD * total["backward_passes_mean"]
    assert spent.to_dict() == compared.table.groupby("policy")["sample_passes_mean"].first().to_dict()


def test_thousands_alone_are_written_in_short(written: list[Section]) -> None:
    def form(title: str, name: str) -> str:
        (choice,) = (choice for choice in chart(written, title).choices if choice.name == name)
        return choice.figure["layout"]["xaxis"]["tickformat"]

    assert form("Value against cost", "Sample passes") == form("By stage", "Forward sample passes") == "~s"
    assert form("Value against cost", "Triggers") == form("By stage", "Seconds") == "~g"  # half a second is no 500m


def test_a_policy_that_used_no_stage_has_zero_of_it(tmp_path: Path) -> None:
    frame = synthetic.stages(synthetic.triggers(2))
    rows = [frame.assign(run_id="a", policy="a"), frame[frame["stage"] != "select"].assign(run_id="b", policy="b")]
    (tmp_path / "figures").mkdir()
    (tmp_path / "tables").mkdir()
    section = cost_section("small", pd.concat(rows), {"a": 0, "b": 1}, tmp_path)
    (table,) = section.tables
    assert [row[table.header.index("select")] for row in table.rows] == ["0.06", "0.00"]


def test_options_stand_in_columns_of_few_policies_and_in_rows_of_many() -> None:
    few = {f"every={n}d": [{"trigger": {"every": f"{n}d"}, "seed": seed} for seed in (0, 1)] for n in (1, 10, 9)}
    options = differing_options(few)
    assert options.table(options.told) == [["option", *few], ["trigger.every", "1d", "10d", "9d"]]
    assert options.in_words() == "trigger.every (1d, 9d, 10d)"
    many = {f"every={n}d": [{"trigger": {"every": f"{n}d"}, "logger": n}] for n in range(20)}
    header, *rows = differing_options(many).table(["trigger.every"])
    assert header == ["policy", "trigger.every"]
    assert rows[3] == ["every=3d", "3d"]
    assert differing_options(many).in_words() == "trigger.every (20 values)"


def test_what_only_some_policies_have_is_told_where_its_values_differ() -> None:
    time = {"_target_": "triggers.time.Time", "clock": "sample"}
    amount = {"_target_": "triggers.amount.Amount", "num_samples": 100}
    chosen = {"trigger": time | {"every": "1y"}}, {"trigger": time | {"every": "3y"}}, {"trigger": amount}
    configs = {f"policy_{place}": [{"optimizer": {"lr": 0.1}, **config}] for place, config in enumerate(chosen)}
    options = differing_options(configs)
    assert options.told == ("trigger", "trigger.every")
    assert options.table(options.told)[2] == ["trigger.every", "1y", "3y", "-"]
    assert set(options.keys) == {"trigger", "trigger.clock", "trigger.every", "trigger.num_samples"}


def test_the_class_of_a_policy_is_told_before_its_options() -> None:
    distances = [{"bins": bins, "_target_": f"distances.{name}"} for bins, name in ((5, "Hist"), (9, "Mmd"))]
    configs = {f"policy_{n}": [{"trigger": {"every": n, "distance": each}}] for n, each in enumerate(distances)}
    assert differing_options(configs).keys == ("trigger.distance", "trigger.every", "trigger.distance.bins")


def test_the_question_comes_first_with_the_answer(compared: Comparisons, written: list[Section]) -> None:
    first = written[0]
    assert first.title == "Which of 2 policies serves arxiv best?"
    assert first.text.startswith(
        "6 runs, 3 of each policy (seeds 0, 1, 2). They were evaluated on 12 test windows (sliced)"
    )
    assert first.text.endswith("The policies differ in trigger.every (365d, 730d).")
    assert first.lead.startswith("Accuracy, sliced windows: every=365d has the best mean, 0.")
    assert "is not tested" in first.lead  # the runs have no predictions
    assert [section.title for section in written[1:]] == [
        "arxiv, sliced windows: Accuracy",
        "arxiv, sliced windows: Mean loss",
        "arxiv, sliced windows: what models learn and forget, by accuracy",
        "arxiv: cost",
        "arxiv: options that differ",
    ]


def test_one_policy_alone_is_asked_what_it_reaches(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "root", num_models=6, num_windows=12)
    alone = compare_paths([run])
    asked = question(alone.loaded, "arxiv", alone.kept, alone.verdicts, differing_options({"one": [{"seed": 1}]}))
    assert asked.title == "What does time / new_data reach on arxiv?"
    assert "there is no other policy to compare it with" in asked.lead


def test_the_contents_list_the_notes(tmp_path: Path) -> None:
    several = [Section(f"Section {number}") for number in range(3)]
    notes = "<a href='#notes'>"
    assert notes in render("Title", several, folder=tmp_path, notes=["A note."])
    assert notes not in render("Title", several, folder=tmp_path)


def test_a_page_escapes_all_texts(tmp_path: Path) -> None:
    bad = "</script><script>alert(1)</script>"
    section = Section(bad, lead=bad, text=bad, statements=[bad], tables=[Table([bad], [[bad]], title=bad, note=bad)])
    page = render("Title", [section], folder=tmp_path, notes=[bad])
    assert page.count("<script") == page.count("</script>") == 2  # plotly's and our own
    assert "alert(1)" in page
