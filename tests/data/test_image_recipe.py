"""Images in files with a table: what the store holds of them, what identifies them, and how bad ones are told."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from modyn_bench.data import fingerprint, ingest
from modyn_bench.data.columns import images as image_columns
from modyn_bench.data.columns.image_sources import ImageFiles
from modyn_bench.data.columns.images import ImageColumn
from modyn_bench.data.recipes.images import ImagesRecipe
from modyn_bench.errors import DataError, RequestError

LONG_AGO = 1_600_000_000


def shade(number):
    """An image that no other number has."""
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8))


def frame(numbers):
    """Row i is of hour i, whatever its place in the table."""
    return pd.DataFrame(
        {
            "file": [f"photos/{number}.png" for number in numbers],
            "taken": [(pd.Timestamp("2020-01-01") + pd.Timedelta(hours=int(n))).isoformat() for n in numbers],
            "shows": ["cat" if number % 3 else "dog" for number in numbers],
        }
    )


def album(folder, n=40):
    (folder / "photos").mkdir(parents=True)
    for number in range(n):
        shade(number).save(folder / "photos" / f"{number}.png")
        os.utime(folder / "photos" / f"{number}.png", (LONG_AGO, LONG_AGO))
    frame(range(n)).to_csv(folder / "album.csv", index=False)
    return folder


def recipe(folder, /, **options):
    defaults = {"path": str(folder / "album.csv"), "image": "file", "timestamp": "taken", "label": "shows", "size": 8}
    return ImagesRecipe(**{**defaults, **options})


def contents(store):
    """Every array of a store, byte for byte."""
    files = sorted(file for file in store.path.rglob("*.npy"))
    return {file.relative_to(store.path).as_posix(): file.read_bytes() for file in files}


def by_hour(store):
    hours = {}
    for split in store.splits.values():
        for key in range(len(split)):
            hour = (int(split.timestamps[key]) - 1_577_836_800) // 3600
            hours[hour] = (store.schema.classes[split.labels[key]], split.columns["image"][key])
    return hours


def fitted(image, size=8, mode="RGB"):
    pixels = np.asarray(ImageOps.fit(image.convert(mode), (size, size), Image.Resampling.BILINEAR))
    return pixels.reshape(size, size, -1).transpose(2, 0, 1)


def nothing_is_left(data_dir):
    return not [file for file in data_dir.rglob("*") if file.is_file() and file.suffix not in (".lock", ".json")]


@pytest.mark.parametrize(("channels", "mode"), [(3, "RGB"), (1, "L")])
def test_every_row_has_its_image(tmp_path, channels, mode):
    store = recipe(album(tmp_path), channels=channels).prepare(tmp_path / "data")
    column = store.schema["image"]
    assert (store.name, column.kind, column.dtype, column.shape) == ("album", "image", "uint8", (channels, 8, 8))
    assert column.names == ("file",)
    found = by_hour(store)
    assert sorted(found) == list(range(40))
    for number, (label, pixels) in found.items():
        assert label == ("cat" if number % 3 else "dog")
        assert (pixels == fitted(shade(number), mode=mode)).all()
    assert set(os.listdir(tmp_path / "data")) == {"fingerprints.json", "fingerprints.json.lock", "locks", "stores"}


def test_height_and_width_may_differ(tmp_path):
    store = recipe(album(tmp_path), size=[6, 16]).prepare(tmp_path / "data")
    judge = np.asarray(ImageOps.fit(shade(7), (16, 6), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert (by_hour(store)[7][1] == judge).all()


@given(order=st.permutations(range(24)))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_rows_changes_nothing(tmp_path_factory, order):
    folder = album(tmp_path_factory.mktemp("album"), 24)
    straight = contents(recipe(folder).prepare(folder / "straight"))
    frame(order).to_csv(folder / "album.csv", index=False)
    assert contents(recipe(folder).prepare(folder / "shuffled")) == straight


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("chunk_bytes", [1, 1000, 1 << 26])
def test_neither_threads_nor_batches_change_anything(tmp_path, monkeypatch, threads, chunk_bytes):
    folder = album(tmp_path, 30)
    straight = contents(recipe(folder).prepare(tmp_path / "straight"))
    monkeypatch.setattr(image_columns.os, "cpu_count", lambda: threads)
    monkeypatch.setattr(ingest, "_CHUNK_BYTES", chunk_bytes)
    assert contents(recipe(folder).prepare(tmp_path / "again")) == straight


def test_a_column_by_any_number_of_threads(tmp_path):
    source = ImageFiles([f"photos/{n}.png" for n in range(30)], column="file", folder=album(tmp_path), suffix=None)
    columns = [ImageColumn(source, "file", shape=(3, 8, 8), data_dir=tmp_path, threads=n) for n in (1, 4, 16)]
    rows = np.array([3, 29, 0, 3])
    for column in columns:
        assert (column.gathers["image"](rows) == columns[0].gathers["image"](rows)).all()
        assert (column.hashes()["file"] == columns[0].hashes()["file"]).all()
    assert len(set(columns[0].hashes()["file"].tolist())) == 30


def test_equal_images_of_one_time_and_label_stay_together_whatever_they_are_called(tmp_path):
    folder = album(tmp_path, 60)
    table = pd.concat([frame(range(60)), frame(range(60)).assign(file=[f"photos/copy-{n}.png" for n in range(60)])])
    for number in range(60):
        shutil.copy(folder / "photos" / f"{number}.png", folder / "photos" / f"copy-{number}.png")
    table.to_csv(folder / "album.csv", index=False)
    store = recipe(folder).prepare(tmp_path / "data")
    hours = [set(split.timestamps.tolist()) for split in store.splits.values()]
    assert not hours[0] & hours[1]
    assert sum(map(len, store.splits.values())) == 120
    assert min(map(len, hours)) > 5


class TestIdentity:
    def test_an_edited_image_is_another_dataset_and_a_moved_folder_is_not(self, tmp_path):
        folder, data = album(tmp_path / "here"), tmp_path / "data"
        first = recipe(folder).source_fingerprint(data)
        assert recipe(folder).source_fingerprint(data) == recipe(folder).source_fingerprint() == first
        folder.rename(tmp_path / "there")
        moved = recipe(tmp_path / "there")
        assert moved.source_fingerprint(data) == first
        (tmp_path / "elsewhere").mkdir()
        shutil.move(tmp_path / "there" / "photos", tmp_path / "elsewhere")
        apart = recipe(tmp_path / "there", folder=str(tmp_path / "elsewhere"))
        assert apart.source_fingerprint(data) == first
        shade(99).save(tmp_path / "elsewhere" / "photos" / "5.png")
        assert apart.source_fingerprint(data) != first

    def test_what_no_row_names_does_not_count(self, tmp_path):
        folder = album(tmp_path)
        first = recipe(folder).source_fingerprint()
        shade(99).save(folder / "photos" / "99.png")
        assert recipe(folder).source_fingerprint() == first

    def test_two_images_that_change_places_count(self, tmp_path):
        folder = album(tmp_path)
        first = recipe(folder).source_fingerprint()
        one, other = (folder / "photos" / name for name in ("1.png", "2.png"))
        kept = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(kept)
        assert recipe(folder).source_fingerprint() != first

    def test_unchanged_images_are_read_once(self, tmp_path, monkeypatch):
        folder, read = album(tmp_path), []
        real = fingerprint.hash_file
        monkeypatch.setattr(fingerprint, "hash_file", lambda file: read.append(file.name) or real(file))
        first = recipe(folder).source_fingerprint(tmp_path / "data")
        assert len(set(read)) == 41
        del read[:]
        assert recipe(folder).source_fingerprint(tmp_path / "data") == first
        assert "3.png" not in read
        shade(99).save(folder / "photos" / "3.png")  # a moment ago, so nothing is remembered of it
        for _ in range(2):
            assert recipe(folder).source_fingerprint(tmp_path / "data") != first
            assert "3.png" in read
            del read[:]

    def test_an_image_that_changes_while_it_is_read_is_told(self, tmp_path, monkeypatch):
        folder = album(tmp_path)
        real = ImagesRecipe.read

        def read(self, data_dir):
            rows = real(self, data_dir)
            shade(99).save(folder / "photos" / "3.png")
            return rows

        monkeypatch.setattr(ImagesRecipe, "read", read)
        with pytest.raises(DataError, match="changed while it was read"):
            recipe(folder).prepare(tmp_path / "data")
        assert not list((tmp_path / "data" / "stores").glob("*"))


def spoil(folder):
    """Make every kind of unusable image, each of one row but the missing ones."""
    photos = folder / "photos"
    whole = (photos / "10.png").read_bytes()
    (photos / "10.png").write_bytes(whole[:-100])
    (photos / "11.png").write_text("no image")
    (photos / "12.png").unlink()
    (photos / "13.png").unlink()
    shade(14).save(folder.parent / "secret.png")
    table = frame(range(40))
    table.loc[14, "file"] = "../secret.png"
    table.loc[15, "file"] = str((photos / "15.png").resolve())
    table.loc[16, "file"] = ""
    table.loc[17, "file"] = "photos"
    table.to_csv(folder / "album.csv", index=False)
    return folder


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_what_is_no_file_is_never_opened(tmp_path):
    """A pipe nobody writes to and a device that never ends would be read for ever."""
    folder = album(tmp_path / "album")
    for number in (3, 4):
        (folder / "photos" / f"{number}.png").unlink()
    os.mkfifo(folder / "photos" / "3.png")
    (folder / "photos" / "4.png").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"no such file in .* 'photos/3\.png': 2 of 40 rows \(rows 4, 5\)"):
        recipe(folder).prepare(tmp_path / "data")


def test_a_linked_folder_and_back_leads_nowhere(tmp_path):
    folder = album(tmp_path / "album")
    (tmp_path / "outside" / "in").mkdir(parents=True)
    shutil.copy(folder / "photos" / "0.png", tmp_path / "outside" / "secret.png")
    (folder / "link").symlink_to(tmp_path / "outside" / "in")
    table = pd.read_csv(folder / "album.csv")
    table.loc[7, "file"] = "link/../secret.png"
    table.to_csv(folder / "album.csv", index=False)
    with pytest.raises(DataError, match=r"no such file in .* 'link/\.\./secret\.png': 1 of 40 rows \(row 8\)"):
        recipe(folder).prepare(tmp_path / "data")


def test_a_suffix_that_is_lacking_is_named(tmp_path):
    folder = album(tmp_path / "album")
    table = pd.read_csv(folder / "album.csv")
    table.assign(file=table["file"].str.removesuffix(".png")).to_csv(folder / "album.csv", index=False)
    with pytest.raises(DataError, match=r"but there is 'photos/0\.png': set dataset\.suffix=\.png"):
        recipe(folder).prepare(tmp_path / "data")


def test_every_kind_of_unusable_image_is_told_with_its_rows(tmp_path):
    folder = spoil(album(tmp_path / "album"))
    with pytest.raises(DataError) as told:
        recipe(folder).prepare(tmp_path / "data")
    message = str(told.value)
    assert f"no such file in {folder}, for instance 'photos/12.png': 3 of 40 rows (rows 13, 14, 18)" in message
    assert "leads out of" in message
    assert "for instance '../secret.png': 2 of 40 rows (rows 15, 16)" in message
    assert "no file name in 'file': 1 of 40 rows (row 17)" in message
    assert "dataset.invalid_rows=drop" in message
    assert nothing_is_left(tmp_path / "data")


def test_images_that_cannot_be_decoded_are_all_told(tmp_path):
    folder = album(tmp_path / "album")
    for number in (3, 17, 38):
        (folder / "photos" / f"{number}.png").write_text("no image")
    payload = (folder / "photos" / "20.png").read_bytes()
    (folder / "photos" / "20.png").write_bytes(payload[:-100])
    with pytest.raises(DataError) as told:
        recipe(folder).prepare(tmp_path / "data")
    assert "no image of a known format" in str(told.value)
    assert "for instance 'photos/3.png': 3 of 40 rows (rows 4, 18, 39)" in str(told.value)
    assert "a damaged or cut off image, for instance 'photos/20.png'" in str(told.value)
    assert "1 of 40 rows (row 21)" in str(told.value)
    assert nothing_is_left(tmp_path / "data")


def test_unusable_images_can_be_left_out(tmp_path):
    folder = spoil(album(tmp_path / "album"))
    table = pd.read_csv(folder / "album.csv")
    table.loc[2, "taken"] = "some day"
    table.loc[11, "shows"] = "text"  # a class of that row alone, which is left out
    table.to_csv(folder / "album.csv", index=False)
    store = recipe(folder, invalid_rows="drop").prepare(tmp_path / "data")
    found = by_hour(store)
    assert sorted(set(range(40)) - set(found)) == [2, *range(10, 18)]
    assert store.schema.classes == ("cat", "dog")
    for number, (_, pixels) in found.items():
        assert (pixels == fitted(shade(number))).all()
    notes = "\n".join(store.notes)
    assert "no readable time in 'taken': 1 of 40 rows (row 3)" in notes
    assert "'photos/12.png': 3 of 40 rows (rows 13, 14, 18)" in notes
    assert "1 of 40 rows (row 12)" in notes  # of the source, though others were left out before
    assert "1 of 40 rows (row 11)" in notes


def test_no_usable_image_at_all(tmp_path):
    with pytest.raises(DataError, match=r"no row is left: no such file in .* 40 of 40 rows"):
        recipe(album(tmp_path), suffix=".jpg", invalid_rows="drop").prepare(tmp_path / "data")


def test_files_out_of_the_folder_are_never_opened(tmp_path, monkeypatch):
    folder = spoil(album(tmp_path / "album"))
    opened = []
    real = fingerprint.hash_file
    monkeypatch.setattr(fingerprint, "hash_file", lambda file: opened.append(Path(file).resolve()) or real(file))
    payload = ImageFiles.payload
    monkeypatch.setattr(ImageFiles, "payload", lambda self, row: opened.append(self.called(row)) or payload(self, row))
    recipe(folder, invalid_rows="drop").prepare(tmp_path / "data")
    assert not [file for file in opened if "secret" in str(file)]


@pytest.mark.parametrize("name", ["photos/sub/../1.png", "./photos/1.png", "photos//1.png"])
def test_a_detour_within_the_folder_is_fine(tmp_path, name):
    folder = album(tmp_path)
    (folder / "photos" / "sub").mkdir()
    table = frame(range(40))
    table.loc[1, "file"] = name
    table.to_csv(folder / "album.csv", index=False)
    assert (by_hour(recipe(folder).prepare(tmp_path / "data"))[1][1] == fitted(shade(1))).all()


def test_names_as_missing_values_are_written_and_a_suffix(tmp_path):
    folder = album(tmp_path)
    table = frame(range(40)).assign(file=["NA", "null", *(f"{n:03}" for n in range(2, 40))])
    for number, name in enumerate(table["file"]):
        (folder / "photos" / f"{number}.png").rename(folder / f"{name}.png")
    table.to_csv(folder / "album.csv", index=False)
    store = recipe(folder, suffix=".png").prepare(tmp_path / "data")
    assert all((pixels == fitted(shade(n))).all() for n, (_, pixels) in by_hour(store).items())
    assert len(by_hour(store)) == 40


def write_table(folder, kind):
    table = pa.Table.from_pandas(frame(range(40)), preserve_index=False)
    payloads = [(folder / "photos" / f"{number}.png").read_bytes() for number in range(40)]
    place = table.column_names.index("file")
    if kind == "json lines":
        frame(range(40)).assign(file=range(40)).to_json(folder / "album.jsonl", orient="records", lines=True)
        return {"path": str(folder / "album.jsonl"), "suffix": ".png", "folder": str(folder / "photos")}
    if kind == "numbers":
        table = table.set_column(place, "file", pa.array(range(40)))
    elif kind == "binary":
        table = table.set_column(place, "file", pa.array(payloads))
    elif kind == "struct":
        values = [{"bytes": payload, "path": None} for payload in payloads]
        table = table.set_column(place, "file", pa.array(values))
    pq.write_table(table, folder / "album.parquet", row_group_size=7)
    path = {"path": str(folder / "album.parquet")}
    return {**path, "suffix": ".png", "folder": str(folder / "photos")} if kind == "numbers" else path


@pytest.mark.parametrize("kind", ["names", "numbers", "json lines", "binary", "struct"])
def test_other_tables_and_images_within_them(tmp_path, kind):
    folder = album(tmp_path)
    judge = contents(recipe(folder).prepare(tmp_path / "data"))
    store = recipe(folder, **write_table(folder, kind)).prepare(tmp_path / "data")
    assert contents(store) == judge


def test_an_image_missing_within_a_table(tmp_path):
    folder = album(tmp_path)
    options = write_table(folder, "struct")
    table = pq.read_table(folder / "album.parquet")
    values = table["file"].to_pylist()
    values[3], values[4] = None, {"bytes": None, "path": "a.png"}
    values[5] = {"bytes": b"none", "path": None}
    pq.write_table(table.set_column(0, "file", pa.array(values)), folder / "album.parquet")
    with pytest.raises(DataError, match=r"no image in 'file': 2 of 40 rows \(rows 4, 5\)"):
        recipe(folder, **options).prepare(tmp_path / "data")
    store = recipe(folder, **options, invalid_rows="drop").prepare(tmp_path / "data")
    assert set(range(40)) - set(by_hour(store)) == {3, 4, 5}
    assert any("no image of a known format" in note and "(row 6)" in note for note in store.notes)


def test_a_folder_of_tables_beside_the_images(tmp_path):
    folder = album(tmp_path)
    judge = contents(recipe(folder).prepare(tmp_path / "data"))
    (folder / "tables").mkdir()
    for part, numbers in enumerate((range(15), range(15, 40))):
        frame(numbers).to_csv(folder / "tables" / f"{part}.csv", index=False)
    store = recipe(folder, path=str(folder / "tables")).prepare(tmp_path / "data")
    assert (store.name, contents(store)) == ("tables", judge)
    first = recipe(folder, path=str(folder / "tables")).source_fingerprint()
    shade(99).save(folder / "photos" / "39.png")
    assert recipe(folder, path=str(folder / "tables")).source_fingerprint() != first


def test_a_column_of_something_else(tmp_path):
    folder = album(tmp_path)
    frame(range(40)).assign(file=np.arange(40) + 0.5).to_parquet(folder / "album.parquet", index=False)
    with pytest.raises(DataError, match=r"'file' is of type double; expected names of files, or images as bytes"):
        recipe(folder, path=str(folder / "album.parquet")).prepare(tmp_path / "data")


class TestTheCheckAtTheBeginning:
    def test_it_looks_at_no_image(self, tmp_path, monkeypatch):
        folder = album(tmp_path)
        shutil.rmtree(folder / "photos")
        monkeypatch.setattr(ImageFiles, "__init__", None)
        recipe(folder).check()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"image": "fil"}, "dataset.image='fil' is no column of .*; did you mean 'file'"),
            ({"image": "taken"}, "dataset.image='taken' is the label or the timestamp too"),
            ({"folder": "nowhere"}, "dataset.folder=nowhere: there is no such folder"),
            ({"size": 0}, "dataset.size=0 must be"),
            ({"size": [8, 8, 8]}, "dataset.size="),
            ({"size": "8"}, "dataset.size='8' must be"),
            ({"size": True}, "dataset.size=True must be"),
            ({"channels": 4}, "dataset.channels=4 must be 3"),
        ],
    )
    def test_what_is_wrong_is_told(self, tmp_path, options, message):
        with pytest.raises(RequestError, match=message):
            recipe(album(tmp_path), **options).check()

    def test_the_nearest_folder_is_named(self, tmp_path):
        folder = album(tmp_path)
        with pytest.raises(RequestError, match=r"did you mean .*photos\?"):
            recipe(folder, folder=str(folder / "photo")).check()


def test_too_little_room_is_told_before_anything_is_decoded(tmp_path, monkeypatch):
    folder = album(tmp_path)
    free = {"bytes": 2 * 40 * 192}
    monkeypatch.setattr(image_columns.shutil, "disk_usage", lambda _: SimpleNamespace(free=free["bytes"]))
    recipe(folder).prepare(tmp_path / "data")
    free["bytes"] -= 1
    with pytest.raises(DataError, match="GB of room, but 40 images of 192 bytes take"):
        recipe(folder).prepare(tmp_path / "other")


def test_a_disk_that_is_full_is_told_and_nothing_stays(tmp_path):
    folder = album(tmp_path)
    code = (
        "import resource, sys\n"
        "from modyn_bench.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = ["prepare", "dataset=images", "dataset.path=album.csv", "dataset.image=file", "dataset.timestamp=taken"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "dataset.label=shows", "data_dir=data"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "data_dir=data cannot be written to (File too large)" in done.stderr
    assert "Traceback" not in done.stderr
    assert nothing_is_left(tmp_path / "data")


@pytest.mark.slow
def test_a_run_on_images_from_the_command_line(tmp_path):
    """Half of the album is red, half is blue: a model learns that, and the report is of it."""
    (tmp_path / "photos").mkdir()
    lines = ["file,taken,shows"]
    for day in range(400):
        red = day % 2 == 0
        noise = np.random.default_rng(day).integers(0, 100, (10, 10, 3)) + np.array([155, 0, 0] if red else [0, 0, 155])
        Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "photos" / f"{day}.jpg")
        lines.append(f"{day},{np.datetime64('2020-01-01') + day},{'red' if red else 'blue'}")
    (tmp_path / "album.csv").write_text("\n".join(lines) + "\n")
    dataset = ["dataset=images", "dataset.path=album.csv", "dataset.folder=photos", "dataset.suffix=.jpg"]
    columns = ["dataset.image=file", "dataset.timestamp=taken", "dataset.label=shows", "dataset.size=8"]
    trigger = ["trigger=amount", "trigger.num_samples=100", "training.epochs=20", "training.optimizer.lr=0.01"]
    run = ["run", *dataset, *columns, *trigger, "logger=none", "data_dir=stores"]
    for words in (run, ["report", "outputs"]):
        done = subprocess.run(
            [sys.executable, "-m", "modyn_bench.cli", *words], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "outputs").glob("*/DONE")
    composite = pd.read_parquet(folder.parent / "composite.parquet")
    accuracy = composite.query("variant == 'currently_active' and metric == 'accuracy' and aggregate == 'mean'")
    assert accuracy["value"].item() > 0.9
    assert (tmp_path / "report" / "index.html").is_file()


def test_cifar(shared_data, tmp_path):
    """Real JPEG files of 32×32; their time is made up, one a day."""
    rows = []
    with tarfile.open(shared_data / "cifar10" / "CIFAR-10-images.tar.xz") as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".jpg") and len(rows) < 300:
                *_, label, name = Path(member.name).parts
                payload = archive.extractfile(member)
                assert payload is not None
                (tmp_path / f"{label}-{name}").write_bytes(payload.read())
                rows.append((f"{label}-{name}", np.datetime64("2020-01-01") + len(rows), label))
            elif len(rows) >= 300:
                break
    table = pd.DataFrame(rows, columns=["file", "day", "shows"])
    table.loc[150:, "shows"] = "second half"  # the archive's first are of one class
    table.to_csv(tmp_path / "cifar.csv", index=False)
    store = recipe(tmp_path, path=str(tmp_path / "cifar.csv"), timestamp="day", size=32).prepare(tmp_path / "data")
    pixels = {day // 24: image for day, (_, image) in by_hour(store).items()}
    assert len(pixels) == 300
    for day, (name, _, _) in enumerate(rows):
        with Image.open(tmp_path / name) as image:
            assert (pixels[day] == np.asarray(image.convert("RGB")).transpose(2, 0, 1)).all()
