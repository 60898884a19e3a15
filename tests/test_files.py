"""Files: what fails leaves the old one whole, and the error names it."""

import os
import re
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

import tinygrad_lab as tg
from tinygrad_lab.errors import ArgumentError, DrawingError
from tinygrad_lab.files import write_all_atomically, write_atomically
from tinygrad_lab.nn import Linear
from tinygrad_lab.show.draw import draw
from tinygrad_lab.train.checkpoint import Checkpoint, save_checkpoint
from tinygrad_lab.train.settings import Settings

from .house import MODULES

LIMIT = 600
"""Bytes that a file may have where a disk is full; every writer here writes more."""


def _drawing() -> Any:
    x = tg.scalar(3.0, name="x")
    return draw(x * x)


def _save_step(path: Path) -> None:
    weights = Linear(20, 20)
    optimizer = tg.optim.SGD(weights.parameters(), lr=0.1)

    @tg.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = weights(x).sum()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(2):
        step(tg.ones((3, 20)))
    step.save(path)


def _save_checkpoint(path: Path) -> None:
    about = Checkpoint("mlp", step=1, seed=0, shuffle_seq=False, settings=Settings(steps=1))
    save_checkpoint(path, Linear(20, 20), about)


WRITERS: dict[str, Callable[[Path], object]] = {
    "f.svg": lambda path: _drawing().save(path),
    "f.png": lambda path: _drawing().save(path),
    "f.pdf": lambda path: _drawing().save(path),
    "f.dot": lambda path: _drawing().save(path),
    "step.py": _save_step,
    "model.safetensors": _save_checkpoint,
    "text": lambda path: write_atomically(path, "new " * 1000),
}
every_writer = pytest.mark.parametrize("name", WRITERS)


def _with_a_full_disk(write: Callable[[], object]) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, limits[1]))
    try:
        write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class TestAWriteThatFails:
    @every_writer
    def test_leaves_the_old_file_and_names_it(self, name: str, tmp_path: Path) -> None:
        path, write = tmp_path / name, WRITERS[name]
        write(path)  # whatever is imported or cached on the way is so by now
        before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
        with pytest.raises((OSError, DrawingError), match=re.escape(path.stem)):
            _with_a_full_disk(lambda: write(path))
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before

    def test_is_not_begun_by_a_file_of_several_that_fails(self, tmp_path: Path) -> None:
        small, large = tmp_path / "small", tmp_path / "large"
        write_all_atomically({small: "old", large: "old"})
        both = {small: "new", large: "new " * 1000}
        with pytest.raises(OSError, match="large"):
            _with_a_full_disk(lambda: write_all_atomically(both))
        assert (small.read_text(), large.read_text()) == ("old", "old")
        assert sorted(os.listdir(tmp_path)) == ["large", "small"]

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_on_a_full_device_names_it(self, tmp_path: Path) -> None:
        (tmp_path / "f.svg").symlink_to("/dev/full")
        with pytest.raises(DrawingError, match=r"f\.svg.*No space left"):
            _drawing().save(tmp_path / "f.svg")
        assert stat.S_ISCHR(os.stat("/dev/full").st_mode), "the device was replaced by a file"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_in_a_read_only_folder_names_the_file(self, tmp_path: Path) -> None:
        write_atomically(tmp_path / "f", "old")
        tmp_path.chmod(0o500)
        with pytest.raises(PermissionError, match=r"/f'"):
            write_atomically(tmp_path / "f", "new")
        tmp_path.chmod(0o700)
        assert (tmp_path / "f").read_text() == "old"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_of_a_read_only_file_is_refused(self, tmp_path: Path) -> None:
        write_atomically(tmp_path / "f", "old")
        (tmp_path / "f").chmod(0o400)
        with pytest.raises(PermissionError, match=r"/f'"):
            write_atomically(tmp_path / "f", "new")
        assert os.listdir(tmp_path) == ["f"]

    def test_because_of_a_folder_names_it(self, tmp_path: Path) -> None:
        (tmp_path / "f.svg").mkdir()
        with pytest.raises(IsADirectoryError, match=r"f\.svg"):
            write_atomically(tmp_path / "f.svg", "new")
        with pytest.raises(DrawingError, match=r"f\.svg.*directory"):
            _drawing().save(tmp_path / "f.svg")

    @pytest.mark.parametrize("name", ["f\0.svg", "f\ud800.svg"])
    def test_because_of_its_name_says_so(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(ArgumentError, match="cannot be the name of a file"):
            write_atomically(tmp_path / name, "new")

    def test_when_interrupted_leaves_the_old_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "file"
        write_atomically(file, "old")

        def interrupted(source: Path, target: Path) -> NoReturn:
            assert Path(source).read_text() == "new", "the new content is complete by now"
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(file, "new")
        assert file.read_text() == "old"
        assert os.listdir(tmp_path) == ["file"]

    def test_when_killed_leaves_the_old_file(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_text("old")
        _killed_while_writing(file)
        assert file.read_text() == "old"


def _killed_while_writing(*files: Path) -> None:
    """Kill a process after it has written its temporary files, before it renames them."""
    code = f"""
import os, signal
from pathlib import Path
from tinygrad_lab.files import write_all_atomically

def replace(source, target):
    os.kill(os.getpid(), signal.SIGKILL)
os.replace = replace
write_all_atomically(dict.fromkeys(map(Path, {list(map(str, files))!r}), "new"))
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL


class TestWhatAKilledProcessLeaves:
    def test_does_not_pile_up(self, tmp_path: Path) -> None:
        counts = []
        for _ in range(3):
            _killed_while_writing(tmp_path / "file")
            counts.append(len(os.listdir(tmp_path)))
        assert counts == [1, 1, 1]

    @pytest.mark.parametrize("names", [["file"], ["n" * 60 + "1", "n" * 60 + "2"]])
    def test_is_removed_by_the_next_write(self, names: list[str], tmp_path: Path) -> None:
        files = [tmp_path / name for name in names]
        _killed_while_writing(*files)
        assert len(os.listdir(tmp_path)) == len(files)
        write_all_atomically(dict.fromkeys(files, "newer"))
        assert sorted(os.listdir(tmp_path)) == names
        assert {file.read_text() for file in files} == {"newer"}

    def test_is_told_from_what_another_is_writing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file, replace = tmp_path / "file", os.replace
        within: list[str] = []

        def replace_after_another_write(source: Path, target: Path) -> None:
            monkeypatch.setattr(os, "replace", replace)
            write_atomically(file, "of another")
            within.append(file.read_text())
            _killed_while_writing(file)
            replace(source, target)

        monkeypatch.setattr(os, "replace", replace_after_another_write)
        write_atomically(file, "the last")
        assert within == ["of another"]
        assert file.read_text() == "the last"
        write_atomically(file, "and on")
        assert os.listdir(tmp_path) == ["file"]

    @pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
    def test_is_nothing_but_a_file(self, kind: str, tmp_path: Path) -> None:
        _killed_while_writing(tmp_path / "file")
        (left,) = tmp_path.iterdir()
        left.unlink()
        (tmp_path / "user's").write_text("text")
        make = {"folder": left.mkdir, "link": lambda: left.symlink_to("user's")}
        make.get(kind, lambda: os.mkfifo(left))()
        write_atomically(tmp_path / "file", "new")
        assert (tmp_path / "file").read_text() == "new"
        assert sorted(os.listdir(tmp_path)) == sorted(["file", "user's", left.name])
        assert (tmp_path / "user's").read_text() == "text"


class TestAWrite:
    def test_replaces_the_whole_file(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        write_atomically(file, "old, and much longer than the new")
        write_atomically(file, "new ± 1")
        assert file.read_text(encoding="utf-8") == "new ± 1"
        assert os.listdir(tmp_path) == ["file"]

    def test_follows_a_link_and_keeps_permissions(self, tmp_path: Path) -> None:
        target, link = tmp_path / "target", tmp_path / "link"
        target.write_text("old")
        target.chmod(0o640)
        link.symlink_to(target)
        write_atomically(link, "new")
        assert link.is_symlink()
        assert target.read_text() == "new"
        assert stat.S_IMODE(target.stat().st_mode) == 0o640

    def test_gives_a_new_file_the_usual_permissions(self, tmp_path: Path) -> None:
        (tmp_path / "usual").write_text("")
        write_atomically(tmp_path / "new", "")
        modes = {(tmp_path / name).stat().st_mode for name in ("usual", "new")}
        assert len(modes) == 1

    def test_goes_into_a_pipe(self, tmp_path: Path) -> None:
        pipe = tmp_path / "f.dot"
        os.mkfifo(pipe)
        received: list[str] = []
        reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
        reader.start()
        _drawing().save(pipe)
        reader.join(10)
        assert received == [_drawing().dot]
        assert stat.S_ISFIFO(pipe.stat().st_mode)

    def test_may_have_the_longest_name(self, tmp_path: Path) -> None:
        for name in ("n" * 251 + ".svg", "é" * 125 + ".svg"):
            _drawing().save(tmp_path / name)
            assert (tmp_path / name).exists()

    @pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf", ".dot"])
    def test_may_have_a_name_of_any_bytes(self, suffix: str, tmp_path: Path) -> None:
        x = tg.scalar(3.0, name="x\udcff")
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xff" + suffix.encode()))
        assert draw(x * x).save(path).exists()

    def test_by_several_threads_is_one_of_theirs(self, tmp_path: Path) -> None:
        file, failures = tmp_path / "file", []

        def write(letter: str) -> None:
            try:
                for _ in range(50):
                    write_atomically(file, letter * 10_000)
            except OSError as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=[letter]) for letter in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(set(file.read_text())) == 1
        assert os.listdir(tmp_path) == ["file"]


WRITES = re.compile(r"\.(write_text|write_bytes)\(|mkstemp|os\.replace|open\(.*[\"']w")
NO_WRITE = re.compile(r"^\s*(>>>|\.\.\.)|formatter\.write_text")
"""A doctest's sample file, and a method of click's."""


def test_nothing_else_writes_files() -> None:
    for name, file in MODULES.items():
        if name == "tinygrad_lab.files":
            continue
        for line in file.read_text(encoding="utf-8").splitlines():
            called = re.search(
                r"\.(write_text|write_bytes)\(|mkstemp|os\.replace|open\(.*\"w", line
            )
            is_example = re.match(r"\s*(>>>|\.\.\.)", line)
            assert not called or is_example or "formatter.write_text" in line, f"{name}: {line}"
