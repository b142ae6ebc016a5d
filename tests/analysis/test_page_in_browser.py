"""A report's page in a real browser: nothing fails, nothing is loaded, and what is to be used works."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest
import synthetic_runs as synthetic
from browser import browser

from modyn_bench.analysis.report.write import ReportResult, write_report
from modyn_bench.timespan import format_time

NASTY = "</script><script>window.broken = 1</script><b>&amp;"
NUM_MODELS, NUM_WINDOWS = 6, 12

# Every text that is shown: its size and what it says.
SIZES = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(parent.tagName)) continue;
    if (parent.getClientRects().length) found.push([parseFloat(getComputedStyle(parent).fontSize), parent.textContent]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> ReportResult:
    """Three policies of two seeds each, one of which is called by what would break a page."""
    root = tmp_path_factory.mktemp("root")
    for seed in range(2):
        for level, options in ((0.5, {"ratio": 0.5}), (0.4, {"ratio": 0.25}), (0.3, {"label": NASTY})):
            config = {"selector": {"_target_": "uniform.Uniform", **options}}
            noted = {"num_models": NUM_MODELS, "num_windows": NUM_WINDOWS, "seed": seed, "level": level}
            run = synthetic.write_run(root, config=config, **noted)
            frame = pd.read_parquet(run / "evaluations.parquet")
            synthetic.replace(run, evaluations=frame[frame["metric"] == "accuracy"])
    return write_report([root], tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def pages() -> Iterator:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def page(report: ReportResult, pages) -> Iterator:
    """The page, whole on a screen 1280 wide; what went wrong meanwhile makes the tests fail."""
    opened, wrong = open_page(report, pages, width=1280)
    yield opened
    opened.close()
    assert wrong == []


def open_page(report: ReportResult, pages, *, width: int) -> tuple:
    """Open the page so high that all charts are drawn, and collect errors and requests."""
    wrong: list[str] = []
    opened = pages.new_page(viewport={"width": width, "height": 6000})
    opened.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    own = report.path.as_uri()
    opened.on("request", lambda request: request.url in (own,) or wrong.append(request.url[:200]))
    opened.goto(own)
    opened.wait_for_function("charts.every((chart) => chart.drawn && chart.plot.querySelector('.main-svg'))")
    return opened, wrong


def chart(page, title: str):
    return page.locator("figure.chart", has=page.get_by_role("heading", name=title, exact=True))


def hover(page, title: str, x: float, y: float) -> str:
    """Point at a place of a chart's plane, as shares of width and height from the lower left; return what is said."""
    plane = chart(page, title).locator(".nsewdrag").first.bounding_box()
    page.mouse.move(5, 5)
    page.mouse.move(plane["x"] + x * plane["width"], plane["y"] + (1 - y) * plane["height"], steps=3)
    label = chart(page, title).locator(".hoverlayer .hovertext").first
    label.wait_for(timeout=3000)
    return "\n".join(label.locator("text").all_text_contents())


@pytest.mark.parametrize("width", [1280, 400])
def test_it_opens_without_errors_and_is_readable(width: int, report: ReportResult, pages) -> None:
    opened, wrong = open_page(report, pages, width=width)
    assert opened.title() == "Comparison of pipelines"
    assert opened.locator(".js-plotly-plot").count() == 4
    assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    tables = opened.locator(".scroll").all()
    hides = [table.evaluate("(box) => box.scrollWidth > box.clientWidth") for table in tables]
    assert any(hides) == (width == 400)
    sizes = opened.evaluate(SIZES)
    assert len(sizes) > 100
    assert [each for each in sizes if each[0] < 11] == []
    for plot in opened.locator(".plot .main-svg").all():
        box = plot.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    opened.close()
    assert wrong == []


def test_a_cell_says_model_window_value_and_samples(report: ReportResult, page) -> None:
    (named,) = chart(page, "Evaluation matrix").locator("option").all_text_contents()[:1]
    assert named.startswith("ratio=0.5 (seed ")
    runs = report.comparisons.runs
    best = runs[(runs["policy"] == "ratio=0.5") & (runs["seed"] == int(named.removesuffix(")")[-1]))]
    cells = report.comparisons.loaded.evaluations
    cells = cells[(cells["run_id"] == best["run_id"].iloc[0]) & (cells["metric"] == "accuracy")]
    model, window = 2, 6
    (cell,) = cells[(cells["model_id"] == model) & (cells["window_id"] == window)].itertuples()
    assert cell.currently_active
    said = hover(page, "Evaluation matrix", (window + 0.5) / NUM_WINDOWS, (model + 0.5) / NUM_MODELS)
    start, end = format_time(cell.window_start), format_time(cell.window_end)
    assert f"Accuracy {float(f'{cell.value:.4g}')}" in said
    assert f"Model {model}, available " in said
    assert f"Window {start} to {end}, {cell.num_samples} test samples" in said
    assert "currently active" in said
    undefined = hover(page, "Evaluation matrix", (7 + 0.5) / NUM_WINDOWS, (model + 0.5) / NUM_MODELS)
    assert "Accuracy undefined" in undefined


def test_a_cell_that_was_not_evaluated_says_so(page) -> None:
    said = """(undefinedCells) => joined({type: "heatmap", z: [[0.5, null, null]], meta: {
      value: "Accuracy", rows: ["Model 0"], columns: ["a", "b", "c"], serving: [], undefined: undefinedCells,
    }}).text[0].map((text) => text.split("<br>")[0])"""
    value, undefined, not_evaluated = (f"<b>Accuracy {word}</b>" for word in ("0.5", "undefined", "not evaluated"))
    assert page.evaluate(said, [[0, 1]]) == [value, undefined, not_evaluated]
    assert page.evaluate(said, None) == [value, undefined, undefined]


def test_another_pipeline_can_be_chosen(page) -> None:
    figure = chart(page, "Evaluation matrix")
    links = figure.locator("figcaption .files:visible a")
    before = figure.locator(".heatmaplayer image").get_attribute("href"), links.first.get_attribute("href")
    figure.locator("select").select_option(index=1)
    page.wait_for_function(
        "(old) => charts.at(-2).plot.querySelector('.heatmaplayer image').getAttribute('href') !== old", arg=before[0]
    )
    assert links.count() == 2
    assert links.first.get_attribute("href") != before[1]
    figure.locator("select").select_option(index=0)


def test_a_pipeline_is_hidden_and_shown_again(page) -> None:
    figure, beside = chart(page, "Over time"), chart(page, "Value against cost")
    shown, points = figure.locator(".scatterlayer .trace"), beside.locator(".scatterlayer .trace")
    assert (shown.count(), points.count()) == (6, 4)  # three lines, three bands; the front, three points
    button = figure.get_by_role("button", name="ratio=0.25")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert (shown.count(), points.count()) == (4, 3)
    page.keyboard.press("Enter")  # the button has the focus
    assert button.get_attribute("aria-pressed") == "true"
    assert (shown.count(), points.count()) == (6, 4)


def test_a_double_click_shows_one_alone_and_then_all(page) -> None:
    figure, beside = chart(page, "Over time"), chart(page, "Value against cost")
    shown, points = figure.locator(".scatterlayer .trace"), beside.locator(".scatterlayer .trace")
    button = figure.get_by_role("button", name="ratio=0.25")
    button.dblclick()
    pressed = figure.locator(".legend button[aria-pressed=true]")
    assert pressed.all_text_contents() == button.all_text_contents()
    assert (shown.count(), points.count()) == (2, 2)  # line and band; its point and the front
    button.dblclick()
    assert pressed.count() == 3
    assert (shown.count(), points.count()) == (6, 4)


def test_no_other_script_runs_and_nothing_is_loaded(report: ReportResult, pages) -> None:
    opened, _ = open_page(report, pages, width=1280)
    opened.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.injected = 1";
          document.body.append(script);
        }"""
    )
    assert opened.evaluate("window.injected") is None
    asked = "fetch('data:text/plain,x').then(() => 'loaded', () => 'refused')"
    assert opened.evaluate(asked) == "refused"
    opened.close()


def test_charts_can_be_read_by_screen_readers(page) -> None:
    for title in ("Over time", "Evaluation matrix"):
        plot = page.get_by_role("group", name=title, exact=True)
        assert plot.get_by_text("Stream time" if title == "Over time" else "Model, by its last arrival").count() == 1


def test_a_table_sorts_by_mouse_and_keyboard(page) -> None:
    table = page.locator("table", has=page.get_by_role("button", name="currently active")).first
    head = table.locator("thead th", has_text="currently active")

    def values() -> list[float]:
        place = table.locator("thead th").all_text_contents().index("currently active")
        return [
            float(row.locator("th, td").nth(place).inner_text().split()[0]) for row in table.locator("tbody tr").all()
        ]

    given = values()
    assert given == sorted(given, reverse=True)  # the best first
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert values() == sorted(given)
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert values() == given


def test_numbers_sort_as_numbers_and_nothing_stands_last(page) -> None:
    order = "(texts, sign) => texts.sort((a, b) => compare(keyOf(a), keyOf(b), sign))"
    texts = ["-", "1,000 ± 2", "92%", "9", "-0.5", "every=10d", "every=9d"]
    ascending = page.evaluate(f"(texts) => ({order})(texts, 1)", texts)
    assert ascending == ["-0.5", "9", "92%", "1,000 ± 2", "every=9d", "every=10d", "-"]
    descending = page.evaluate(f"(texts) => ({order})(texts, -1)", texts)
    assert descending == [*ascending[-2::-1], "-"]


def test_names_are_shown_as_they_are_and_break_nothing(page) -> None:
    assert page.evaluate("window.broken") is None
    assert page.locator("section b").count() == 0
    for locator in (page.locator("tbody th"), chart(page, "Over time").locator(".legend button")):
        assert any(text.endswith(NASTY) for text in locator.all_text_contents())
    names = chart(page, "By stage").locator(".annotation-text").all_text_contents()
    assert any(NASTY.replace(" ", "") in name.replace(" ", "") for name in names)
