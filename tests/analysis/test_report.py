"""The report compares what can be compared, and says what it left out."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_runs as synthetic

from modyn_bench.analysis.report.charts import MAX_LINES
from modyn_bench.analysis.report.comparisons import compare_paths
from modyn_bench.analysis.report.files import earlier_files
from modyn_bench.analysis.report.sections import order_of
from modyn_bench.analysis.report.text import table
from modyn_bench.analysis.report.write import ReportResult, write_report
from modyn_bench.analysis.text import latex
from modyn_bench.errors import RequestError
from modyn_bench.evaluation.compare import compare
from modyn_bench.runs.identity import evaluation_id
from modyn_bench.runs.load import load_runs
from modyn_bench.runs.manifest import DONE

YEAR = synthetic.YEAR


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two policies of three seeds each, a run that is not done, and what is no run."""
    folder = tmp_path_factory.mktemp("root")
    for seed in range(3):
        synthetic.write_run(folder, num_models=6, num_windows=12, seed=seed, level=0.5 + 0.02 * seed)
        synthetic.write_run(folder, num_models=3, num_windows=12, every=2 * YEAR, seed=seed, level=0.4)
    (synthetic.write_run(folder, num_models=2, num_windows=12, seed=9) / DONE).unlink()
    (folder / "notes.txt").write_text("no run")
    return folder


@pytest.fixture(scope="module")
def report(root: Path, tmp_path_factory: pytest.TempPathFactory) -> ReportResult:
    return write_report(sorted(root.iterdir()), tmp_path_factory.mktemp("report") / "new")


def row(table: pd.DataFrame, policy: str, **where: str) -> pd.Series:
    where = {"metric": "accuracy", "variant": "currently_active", "aggregate": "mean", "policy": policy, **where}
    for column, value in where.items():
        table = table[table[column] == value]
    (only,) = [entry for _, entry in table.iterrows()]
    return only


def test_policies_have_mean_deviation_and_n_over_their_seeds(root: Path, report: ReportResult) -> None:
    runs = load_runs(root)
    expected = compare(runs.evaluations, runs.models, window_set="sliced", metric="accuracy").table
    expected["policy"] = expected["run_id"].map(runs.policies)
    assert sorted(set(expected["policy"])) == ["every=365d", "every=730d"]
    for policy, values in expected.groupby("policy")["value"]:
        found = row(report.comparisons.table, str(policy))
        assert found["n"] == 3
        assert found["value_mean"] == pytest.approx(values.mean())
        assert found["value_std"] == pytest.approx(np.std(values, ddof=1))
    models = pd.read_parquet(next(root.glob("*")) / "models.parquet")
    table = report.comparisons.table
    assert models["forward_passes"].sum() * 3 in set(table["sample_passes_mean"])  # forward + 2 x backward
    assert {"currently_active", "currently_trained"} == set(table["variant"])
    assert {"mean", "time_weighted", "sample_weighted"} == set(table["aggregate"])


def test_the_files_hold_the_tables(report: ReportResult) -> None:
    table = pd.read_csv(report.path.parent / "table.csv")
    pd.testing.assert_frame_equal(table, report.comparisons.table, check_dtype=False)
    runs = pd.read_csv(report.path.parent / "runs.csv")
    assert len(runs) == len(report.comparisons.runs) == 6 * 2 * 2 * 3  # runs, metrics, composite models, aggregates
    names = {file.name for file in report.files}
    for name in ("pareto_sample_passes", "pareto_num_triggers", "composite_over_time"):
        assert f"arxiv-sliced-accuracy-{name}.png" in names
    for file in report.files:
        assert file.stat().st_size > 0
        assert file.suffix != ".png" or file.with_suffix(".pdf").is_file()


def test_tables_are_there_for_papers(report: ReportResult) -> None:
    (file,) = [file for file in report.files if file.name == "arxiv-sliced-accuracy.tex"]
    lines = file.read_text(encoding="utf-8").splitlines()
    found = row(report.comparisons.table, "every=365d")
    assert lines[0].startswith(r"\begin{tabular}{l")
    assert f"every=365d & 3 & {found['value_mean']:.4f} $\\pm$ {found['value_std']:.4f}" in lines[4]
    columns = {line.count(" & ") for line in lines if line.endswith(r"\\")}
    assert columns == {len(lines[0].removeprefix(r"\begin{tabular}{").removesuffix("}")) - 1}


def test_what_latex_would_read_as_its_own_is_escaped() -> None:
    rows = [("a_b & c", "50 %"), ("x^2", r"~\{}$#")]
    header, body = latex(rows).splitlines()[2:5:2]
    assert header == r"a\_b \& c & 50 \% \\"
    assert body == r"x\textasciicircum{}2 & \textasciitilde{}\textbackslash{}\{\}\$\# \\"


def test_the_page_is_whole_and_needs_nothing_beside_it(report: ReportResult) -> None:
    class Reader(HTMLParser):
        links: list[str] = []
        cells: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert "src" not in dict(attrs)
            assert tag not in ("link", "iframe", "img", "object")
            self.links += [str(value) for name, value in attrs if name == "href"]

        def handle_data(self, data: str) -> None:
            self.cells.append(data)

    reader = Reader()
    page = report.path.read_text(encoding="utf-8")
    reader.feed(page)
    beside = {link for link in reader.links if not link.startswith("#")}
    assert beside == {file.relative_to(report.path.parent).as_posix() for file in report.files}
    assert {f"figures/arxiv-{name}.pdf" for name in ("cost_seconds", "sliced-loss-pareto_num_triggers")} <= beside
    found = row(report.comparisons.table, "every=365d")
    assert f"{found['value_mean']:.4f} ± {found['value_std']:.4f}" in reader.cells
    assert "notes.txt" in page


def test_what_is_no_finished_run_is_skipped_by_name(root: Path, report: ReportResult) -> None:
    skipped = {entry.path.name for entry in report.comparisons.skipped}
    assert "notes.txt" in skipped
    assert len(skipped) == 2
    text = str(report)
    assert str(root / "notes.txt") in text
    assert "resumable" in text
    assert re.search(r"^every=365d +3 +\d\.\d{4} ± \d\.\d{4}", text, re.MULTILINE)


def test_policies_that_differ_by_numbers_stand_in_the_order_of_these(tmp_path: Path) -> None:
    days = [1000, 365, 20, 300]
    for every in days:  # of equal values, so that the best does not come first
        for seed in (10, 9):
            run = synthetic.write_run(tmp_path / "root", num_models=2, num_windows=12, every=every * 86_400, seed=seed)
            synthetic.replace(run, evaluations=pd.read_parquet(run / "evaluations.parquet").assign(value=0.5))
    report = compare_paths([tmp_path / "root"], min_coverage=0)
    expected = [f"every={every}d" for every in sorted(days)]
    for _, rows in report.table.groupby(["metric", "variant", "aggregate"]):
        assert rows["policy"].tolist() == expected
    assert report.runs["seed"].tolist()[:4] == [9, 10, 9, 10]
    blocks = [block for block in str(report).split("\n\n") if "every=" in block]
    assert [line.split()[0] for line in blocks[0].splitlines()[2:]] == expected


@pytest.mark.parametrize("over_an_older_one", [True, False])
def test_an_interrupted_report_leaves_its_folder_as_it_was(
    over_an_older_one: bool, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "reports" / "report"
    if over_an_older_one:
        write_report([next(root.glob("*seed1*"))], out)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def interrupted(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("modyn_bench.analysis.report.write.render", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_report([root], out)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert list((tmp_path / "reports").iterdir()) == ([out] if over_an_older_one else [])
    assert write_report([root], out).path.is_file()


def test_nothing_of_an_earlier_report_stays_and_nothing_else_goes(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    write_report([root], out)
    before = {file for file in out.rglob("*") if file.is_file()}
    (out / "notes.txt").write_text("mine")
    (out / "figures" / "mine.png").write_bytes(b"mine")
    only = synthetic.write_run(tmp_path / "other", num_models=6, num_windows=12)
    tables = {name: pd.read_parquet(only / f"{name}.parquet") for name in ("evaluations", "composite")}
    synthetic.replace(only, **{name: table[table["metric"] == "loss"] for name, table in tables.items()})
    after = write_report([only], out)
    left = {file for file in out.rglob("*") if file.is_file()}
    written = {*after.files, after.path}
    assert left == written | {out / "report.json", out / "notes.txt", out / "figures" / "mine.png"}
    assert before - left, "the first report had figures that the second has not"


@pytest.mark.parametrize("name", ["table.csv", "runs.csv", "index.html", "report.json"])
def test_a_folder_with_files_that_no_report_wrote_is_left_alone(name: str, root: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(RequestError, match=f"holds a {name} that no report wrote"):
        write_report([root], tmp_path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, "mine\n")]


def test_a_report_that_listed_no_files_is_replaced(report: ReportResult, tmp_path: Path) -> None:
    page = shutil.copy(report.path, tmp_path)
    assert earlier_files(tmp_path) == []
    Path(page).write_text("<h1>Mine</h1>")
    with pytest.raises(RequestError, match=r"index\.html that no report wrote"):
        earlier_files(tmp_path)


def test_the_best_policy_comes_first(report: ReportResult) -> None:
    of_metric = str(report).split("\n\n")
    for block, metric, higher in ((of_metric[0], "accuracy", True), (of_metric[1], "loss", False)):
        policies = [line.split()[0] for line in block.splitlines()[2:]]
        means = [row(report.comparisons.table, policy, metric=metric)["value_mean"] for policy in policies]
        assert means == sorted(means, reverse=higher)


def test_a_run_that_hardly_serves_is_set_aside_by_name(root: Path, tmp_path: Path) -> None:
    late = synthetic.write_run(tmp_path, num_models=1, num_windows=12, every=5 * YEAR)
    report = compare_paths([*sorted(root.iterdir()), late])
    assert any(late.name in note and "set aside" in note for note in report.notes)
    assert "every=1825d" not in set(report.table.loc[report.table["variant"] == "currently_active", "policy"])
    assert row(report.table, "every=365d")["n"] == 3


def test_runs_on_other_windows_are_compared_among_themselves(root: Path, tmp_path: Path) -> None:
    synthetic.write_run(tmp_path, num_models=6, num_windows=14, seed=7)
    report = write_report([root, tmp_path], tmp_path / "report")
    counts = (
        report.comparisons.table[report.comparisons.table["metric"] == "accuracy"]
        .groupby("dataset", sort=False)["policy"]
        .nunique()
    )
    assert counts.to_dict() == {
        "arxiv (12 windows, 1993-01-01 to 1998-12-31)": 2,
        "arxiv (14 windows, 1993-01-01 to 1999-12-31)": 1,
    }
    page = report.path.read_text(encoding="utf-8")
    assert page.count("<h2>arxiv: cost</h2>") == page.count("<h3>By stage</h3>") == 1


def test_windows_of_one_name_are_told_apart_by_their_options(tmp_path: Path) -> None:
    for every, num_windows in (("26w", 12), ("1y", 6)):
        windows = {"sliced": {"kind": "sliced", "every": every}}
        config = {"evaluation": {"metrics": ["accuracy", "loss"], "windows": windows, "batch_size": num_windows}}
        synthetic.write_run(tmp_path / "root", num_windows=num_windows, config=config)
    report = compare_paths([tmp_path / "root"])
    assert set(report.table["dataset"]) == {"arxiv (every=26w)", "arxiv (every=1y)"}
    assert set(report.table["policy"]) == {"batch_size=12", "batch_size=6"}  # of the dataset, as the cost figure's


def test_equal_windows_measured_otherwise_are_no_replicates(tmp_path: Path) -> None:
    for seed, least in ((0, 1), (1, 100)):
        windows = {"sliced": {"kind": "sliced", "every": "26w"}}
        config = {"metrics": ["accuracy", "loss"], "windows": windows, "min_window_samples": least, "ece_bins": least}
        synthetic.write_run(tmp_path / "root", seed=seed, config={"evaluation": config})
    report = compare_paths([tmp_path / "root"])
    assert set(report.table["dataset"]) == {"arxiv (min_window_samples=1)", "arxiv (min_window_samples=100)"}
    assert set(report.table["n"]) == {1}


def test_datasets_of_one_name_are_told_apart_by_their_options(tmp_path: Path) -> None:
    for fingerprint, used in (("f00d", 0.1), ("beef", 0.5)):
        dataset = {"_target_": "modyn_bench.data.recipes.arxiv.ArxivRecipe", "used_fraction": used, "path": fingerprint}
        synthetic.write_run(tmp_path / "root", fingerprint=fingerprint, config={"dataset": dataset})
    report = compare_paths([tmp_path / "root"])
    assert set(report.table["dataset"]) == {"arxiv (used_fraction=0.1)", "arxiv (used_fraction=0.5)"}


def test_a_page_names_who_is_not_compared_first(root: Path, tmp_path: Path) -> None:
    late = synthetic.write_run(tmp_path, num_models=1, num_windows=12, every=11 * YEAR)
    write_report([root, late], tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    question = page[page.index("Which of ") : page.index("arxiv, sliced windows: Accuracy</h2>")]
    told = "Without a comparison of its currently active model, for the reason in the notes: every=4015d."
    assert told in question


def test_datasets_of_one_name_are_told_apart_by_their_content(tmp_path: Path) -> None:
    for fingerprint in ("f00d", "beef"):
        synthetic.write_run(tmp_path / "root", fingerprint=fingerprint)
    report = compare_paths([tmp_path / "root"])
    assert set(report.table["dataset"]) == {"arxiv data=f00d", "arxiv data=beef"}


def test_a_run_without_a_metric_or_windows_that_others_have_is_named(root: Path, tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path, num_models=5, num_windows=12, seed=7, config={"training": {"epochs": 9}})
    frame = pd.read_parquet(run / "evaluations.parquet")
    synthetic.replace(run, evaluations=frame[frame["metric"] == "accuracy"])
    other = synthetic.write_run(tmp_path, num_models=5, num_windows=12, seed=8, config={"training": {"epochs": 9}})
    frame = pd.read_parquet(other / "evaluations.parquet")
    synthetic.replace(other, evaluations=frame.assign(window_set="monthly"))
    report = compare_paths([root, tmp_path])
    (note,) = [note for note in report.notes if "was not evaluated by loss" in note]
    assert note.startswith("arxiv, sliced windows: ")
    assert run.name in note
    (note,) = [note for note in report.notes if other.name in note]
    assert note.endswith("was not evaluated on windows named sliced")
    assert row(report.table, "every=365d / epochs=9")["n"] == 1


def test_what_differs_between_composite_models_has_a_column_for_each(root: Path, tmp_path: Path) -> None:
    late = synthetic.write_run(tmp_path, num_models=1, num_windows=12, every=5 * YEAR)
    report = compare_paths([root, late])
    header, *cells = table(report.runs[report.runs["metric"] == "accuracy"])
    assert header[:4] == ["policy", "n", "currently active", "currently trained"]
    assert header[4:8] == ["coverage, active", "coverage, trained", "triggers, active", "triggers, trained"]
    assert header[8:] == ["sample passes", "seconds"]
    (only_trained,) = [line for line in cells if line[0] == "every=1825d"]
    assert only_trained[1:3] == ["1", "-"]
    assert only_trained[header.index("coverage, active")] == "-"
    assert only_trained[header.index("coverage, trained")] == "92%"
    first = dict(zip(header, cells[0], strict=True))
    for which in ("active", "trained"):
        found = row(report.table, cells[0][0], variant=f"currently_{which}")
        assert first[f"coverage, {which}"] == f"{found['coverage_mean']:.0%}"
        assert first[f"triggers, {which}"].startswith(f"{found['num_triggers_mean']:.4g}")


def test_an_evaluation_under_other_options_is_compared_by_its_id(tmp_path: Path) -> None:
    runs = [synthetic.write_run(tmp_path / "root", num_windows=12, every=n * YEAR // 2) for n in (1, 2, 3)]
    config = {"metrics": ["loss"], "windows": {"monthly": {"kind": "sliced", "every": "4w"}}, "ece_bins": 9}
    for run in runs:
        (run / "triggers").mkdir()  # without, it would be a copy, which cannot be evaluated
    for run in runs[:2]:
        frame = pd.read_parquet(run / "evaluations.parquet")
        own = synthetic.write_evaluation(run, config, frame[frame["metric"] == "loss"].assign(window_set="monthly"))
    plain = compare_paths([tmp_path / "root"])
    (note,) = plain.others
    assert note.startswith(f"2 of 3 runs have another evaluation, {own} (evaluation.metrics=[loss]")
    assert f"--evaluation {own}" in str(plain)
    report = compare_paths([tmp_path / "root"], evaluation=own)
    assert set(report.table["window_set"]) == {"monthly"}
    assert set(report.runs["run_id"]) == {run.name for run in runs[:2]}
    assert report.others == ()
    (skipped,) = report.skipped
    assert skipped.path == runs[2]
    assert f"modyn-bench evaluate {runs[2]} 'evaluation.metrics=[loss]' evaluation.ece_bins=9" in skipped.reason
    with pytest.raises(RequestError, match=rf"--evaluation=nope: no run has(.|\n)*{own}"):
        compare_paths([tmp_path / "root"], evaluation="nope")
    first = load_runs(tmp_path / "root").manifests[runs[0].name]["config"]["evaluation"]
    same = compare_paths([tmp_path / "root"], evaluation=evaluation_id(first))
    pd.testing.assert_frame_equal(same.table, plain.table)


def test_windows_that_depend_on_triggers_are_known_in_evaluations_under_other_options(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "root")
    windows = {"between": {"kind": "between_triggers"}, "sliced": {"kind": "sliced"}}
    frame = pd.read_parquet(run / "evaluations.parquet")
    frames = [frame.assign(window_set=name) for name in windows]
    own = synthetic.write_evaluation(run, {"metrics": ["accuracy", "loss"], "windows": windows}, *frames)
    report = compare_paths([tmp_path / "root"], evaluation=own)
    assert set(report.table["window_set"]) == {"sliced"}
    assert any(note.startswith("between: windows of kind between_triggers") for note in report.notes)


def test_the_smallest_coverage_can_be_chosen(root: Path, tmp_path: Path) -> None:
    late = synthetic.write_run(tmp_path, num_models=1, num_windows=12, every=5 * YEAR)
    tolerant = compare_paths([root, late], min_coverage=0.0)
    assert not [note for note in tolerant.notes if "set aside" in note]
    assert row(tolerant.table, "every=1825d")["n"] == 1
    strict = compare_paths([root, late], min_coverage=0.6)
    noted = [note for note in strict.notes if "set aside" in note]
    assert len(noted) == len(set(noted)) == 4  # each once, whatever the number of metrics
    assert all(note.startswith("arxiv, sliced windows, currently active: ") for note in noted)
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(RequestError, match="from 0 to 1"):
            compare_paths([root], min_coverage=wrong)


def test_a_policy_looks_the_same_in_all_figures(report: ReportResult) -> None:
    runs = report.comparisons.runs
    assert order_of([runs[runs["metric"] == "accuracy"]]) == {"every=365d": 0, "every=730d": 1}


def test_one_run_alone_has_no_deviation(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "root", num_models=6, num_windows=12)
    report = compare_paths([run])
    found = row(report.table, "time / new_data")
    assert found["n"] == 1
    assert np.isnan(found["value_std"])
    assert "±" not in str(report).split("\n\n")[0].split("\n", 1)[1]


def test_a_report_is_written_again_over_an_older_one(root: Path, report: ReportResult) -> None:
    again = write_report(sorted(root.iterdir()), report.path.parent)
    pd.testing.assert_frame_equal(again.comparisons.table, report.comparisons.table)


def test_only_the_best_policies_are_drawn_over_time(tmp_path: Path) -> None:
    for number in range(MAX_LINES + 2):
        config = {"selector": {"_target_": "uniform.Uniform", "ratio": 0.05 * (number + 1)}}
        level = 0.2 + 0.02 * number
        run = synthetic.write_run(tmp_path / "root", num_models=4, num_windows=8, config=config, level=level)
        frame = pd.read_parquet(run / "evaluations.parquet")
        synthetic.replace(run, evaluations=frame[frame["metric"] == "accuracy"])
    report = write_report([tmp_path / "root"], tmp_path / "report")
    assert f"The best {MAX_LINES} of {MAX_LINES + 2} policies." in report.path.read_text(encoding="utf-8")
    assert report.comparisons.table["policy"].nunique() == MAX_LINES + 2


def test_without_a_finished_run_it_refuses_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no run")
    with pytest.raises(RequestError, match=r"no finished run(.|\n)*notes\.txt"):
        write_report([tmp_path / "notes.txt"], tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_where_nothing_can_be_compared_it_refuses_and_says_why(tmp_path: Path) -> None:
    config = {"evaluation": {"metrics": ["accuracy"], "windows": {"sliced": {"kind": "between_triggers"}}}}
    for seed in range(2):
        synthetic.write_run(tmp_path / "root", num_models=4, num_windows=8, config=config, seed=seed)
    with pytest.raises(RequestError, match=r"nothing that can be compared(.|\n)*between_triggers"):
        write_report([tmp_path / "root"], tmp_path / "report")
    assert not (tmp_path / "report").exists()
