"""The commands as a user runs them: output, errors, exit codes."""

import json
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest

from bundles import YELLOW, accident_between, make_bundle
from jikimi import cli, shipped
from jikimi.errors import MissingExtraError, TrainError
from jikimi.extras import needs
from train_data import BACKBONE, make_data
from videos import moving_square, write_video

CHAIN = ("prepare", "train", "evaluate", "export", "watch")
COMMANDS = (*CHAIN, "demo", "simulate")


def jikimi(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "jikimi", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )


def failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object, code: int = 1
) -> str:
    """Run a command here, which must fail; returns what stderr got."""
    monkeypatch.setattr(sys, "argv", ["jikimi", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == code
    captured = capsys.readouterr()
    assert captured.out == ""
    if code == 1:
        assert captured.err.startswith("jikimi: ") and captured.err.count("\n") == 1, captured.err
    return captured.err


# --- the whole chain


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, "subprocess.CompletedProcess[str]"]:
    """Every command after the other on small videos; what each of them said."""
    root = tmp_path_factory.mktemp("chain")
    for number, behavior in enumerate(("fall-down", "jam", "no-accident")):
        for clip in range(3):
            draw = moving_square(seed=10 * number + clip)
            write_video(root / "videos" / behavior / f"take{clip}.mp4", seconds=2, fps=8, draw=draw)
    data, run, bundle = root / "data", root / "run", root / "model.jikimi"
    train = ("train", data, "--out", run, "--recipe", "edge", "--weights", "none", "--backbone", BACKBONE)
    return {
        "prepare": jikimi("prepare", root / "videos", "--out", data, "--workers", 1),
        "train": jikimi(*train, "--epochs", 2, "--batch-size", 12, "--device", "cpu"),
        "evaluate": jikimi("evaluate", run / "best.pth", data, "--out", root / "report", "--device", "cpu"),
        "export": jikimi("export", run, "--out", bundle),
        "watch": jikimi("watch", root / "videos" / "jam" / "take0.mp4", "--model", bundle, "--json"),
        "ls": subprocess.run(["find", str(root)], capture_output=True, text=True, check=True),
    }


@pytest.mark.parametrize("command", CHAIN)
def test_command_ends_well_and_is_silent_on_stderr(
    chain: dict[str, "subprocess.CompletedProcess[str]"], command: str
) -> None:
    assert (chain[command].returncode, chain[command].stderr) == (0, "")


@pytest.mark.parametrize(
    "path",
    [
        "data/manifest.parquet", "data/rejected.csv", "run/best.pth", "run/last.pth", "run/curves.png",
        "run/metrics.json", "run/recipe.json", "run/tensorboard", "report/report.html", "report/metrics.json",
        "model.jikimi",
    ],
)  # fmt: skip
def test_chain_leaves_what_the_commands_promise(
    chain: dict[str, "subprocess.CompletedProcess[str]"], path: str
) -> None:
    assert any(line.endswith(f"/{path}") for line in chain["ls"].stdout.splitlines())


def test_training_says_how_it_goes(chain: dict[str, "subprocess.CompletedProcess[str]"]) -> None:
    lines = chain["train"].stdout.splitlines()
    assert lines[0] == "note: no clips to train on of bump, fall-off, hit"
    assert any(line.startswith("epoch   1/2  train loss") for line in lines)
    assert lines[-1].startswith("best epoch ") and lines[-1].endswith("best.pth")


def test_watching_prints_one_object_a_line(chain: dict[str, "subprocess.CompletedProcess[str]"]) -> None:
    for line in chain["watch"].stdout.splitlines():
        assert {"event", "camera", "behavior", "score", "t_s", "wall_time", "evidence"} <= json.loads(
            line
        ).keys()


def test_incidents_are_lines_of_json_and_watching_needs_no_torch(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "x.jikimi")
    video = write_video(tmp_path / "v.mp4", seconds=4, fps=8, draw=accident_between(8, 24, YELLOW))
    arguments = [
        "jikimi",
        "watch",
        str(video),
        "--model",
        str(bundle),
        "--json",
        "--out",
        str(tmp_path / "out"),
    ]
    program = (
        f"import sys; sys.argv = {arguments!r}\n"
        "from jikimi.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'timm', 'lightning', 'polars', 'onnx', 'sklearn'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"opened", "closed"} <= {event["event"] for event in events}
    opened = next(event for event in events if event["event"] == "opened")
    assert opened["behavior"] == "fall-down" and 0.5 <= opened["score"] <= 1


# --- help and usage


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["jikimi", command, "--help"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    assert f"Example: jikimi {command} " in " ".join(capsys.readouterr().out.split())


def test_version_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["jikimi", "--version"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0 and capsys.readouterr().out.strip().count(".") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("train",),
        ("train", "data"),
        ("train", "data", "--out", "run", "--recipe", "huge"),
        ("train", "data", "--out", "run", "--device", "toaster"),
        ("train", "data", "--out", "run", "--epochs", "0"),
        ("train", "data", "--out", "run", "--epochs", "many"),
        ("train", "data", "--out", "run", "--seed", "-1"),
        ("watch",),
        ("watch", "video.mp4", "--threads", "-1"),
        ("demo", "--seconds", "0"),
        ("demo", "video.mp4"),
        ("simulate", "--clips", "2"),
        ("simulate", "--out", "x"),
        ("simulate", "--out", "x", "--clips", "0"),
        ("simulate", "--out", "x", "--clips", "2", "--streams", "2", "--minutes", "1"),
        ("simulate", "--out", "x", "--clips", "2", "--minutes", "1"),
        ("simulate", "--out", "x", "--streams", "2"),
        ("simulate", "--out", "x", "--streams", "2", "--minutes", "nan"),
        ("simulate", "--out", "x", "--streams", "2", "--minutes", "0"),
        ("export", "run"),
        ("evaluate", "model", "data", "--out", "x", "--split", "half"),
    ],
)
def test_wrong_usage_ends_with_two(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    assert "Traceback" not in failure(capsys, monkeypatch, *arguments, code=2)


# --- failures: one line


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data")).root


def test_failures_are_one_line_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: Path
) -> None:
    none = tmp_path / "none"
    (tmp_path / "file").write_text("text")
    (tmp_path / "occupied").mkdir()
    (tmp_path / "occupied" / "best.pth").write_text("a model")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    cases: list[tuple[tuple[object, ...], str]] = [
        (("train", none, "--out", tmp_path / "run"), "run: jikimi prepare"),
        (("train", data, "--out", tmp_path / "run", "--device", "cuda"), "--device cuda"),
        (("train", data, "--out", tmp_path / "file", "--weights", "none"), str(tmp_path / "file")),
        (("train", data, "--out", tmp_path / "run", "--weights", none), "No such file"),
        (("train", data, "--out", tmp_path / "r2", "--weights", tmp_path / "file"), "no file of weights"),
        (("train", data, "--out", tmp_path / "run", "--backbone", "resnet18x"), "no timm encoder"),
        (("train", data, "--out", none, "--resume"), "no run to resume"),
        (("train", data, "--out", tmp_path / "occupied"), "continue it with --resume or give another --out"),
        (("train", data, "--out", none, "--lr", "0"), "learning rate"),
        (("train", data, "--out", none, "--recipe", "edge", "--views", "3"), "head alone"),
        (("train", data, "--out", none, "--recipe", "edge", "--epochs", "2"), "stages"),
        (("evaluate", none, data, "--out", none), "No such file"),
        (("evaluate", tmp_path / "file", data, "--out", none), "bundle"),
        (("evaluate", tmp_path / "x.pth", data, "--out", none), "No such file"),
        (("export", tmp_path, "--out", tmp_path / "x.jikimi"), "best.pth"),
        (("export", tmp_path / "file", "--out", tmp_path / "x.jikimi"), "checkpoint"),
        (("watch", "v.mp4", "--model", none), "No such file"),
        (("watch", "v.mp4", "--model", tmp_path / "file"), "not a Jikimi bundle"),
    ]
    for arguments, says in cases:
        assert says in failure(capsys, monkeypatch, *arguments), arguments


def test_message_of_several_lines_becomes_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_arguments: list[str]) -> None:
        raise TrainError("first\n  second\n")

    monkeypatch.setattr(cli, "app", fail)
    assert failure(capsys, monkeypatch, "watch") == "jikimi: first second\n"


def test_trouble_with_a_file_is_one_line_with_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_arguments: list[str]) -> None:
        raise PermissionError(13, "Permission denied", "/somewhere")

    monkeypatch.setattr(cli, "app", fail)
    assert "/somewhere: Permission denied" in failure(capsys, monkeypatch, "watch")
    monkeypatch.setattr(sys, "argv", ["jikimi", "watch", "--debug"])
    with pytest.raises(PermissionError):
        cli.main()


@pytest.mark.parametrize("place", [0, 1, -1])
def test_debug_shows_the_trace_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: int
) -> None:
    arguments = ["watch", "v.mp4", "--model", str(tmp_path / "none")]
    arguments.insert(place if place >= 0 else len(arguments), "--debug")
    done = jikimi(*arguments) if place == 0 else None
    if done is not None:
        assert done.returncode == 1 and "Traceback" in done.stderr and "No such file" in done.stderr
    monkeypatch.setattr(sys, "argv", ["jikimi", *arguments])
    with pytest.raises(Exception, match="No such file"):
        cli.main()


def test_missing_extra_is_said_with_the_way_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jikimi.train.fit", None)
    monkeypatch.delattr("jikimi.train.fit", raising=False)

    def blocked(_arguments: list[str]) -> None:
        with needs("train", "train"):
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(cli, "app", blocked)
    message = failure(capsys, monkeypatch, "train")
    assert "jikimi train needs the extra 'train'; install it with: uv sync --extra train" in message


def test_each_extra_has_modules_of_its_own() -> None:
    with pytest.raises(MissingExtraError, match="uv sync --extra sim"), needs("sim", "simulate"):
        raise ModuleNotFoundError("No module named 'mujoco'", name="mujoco")
    with pytest.raises(ModuleNotFoundError), needs("sim", "simulate"):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")


def test_other_missing_modules_are_not_blamed_on_the_extra() -> None:
    with pytest.raises(ModuleNotFoundError), needs("train", "train"):
        raise ModuleNotFoundError("No module named 'jikimi.gone'", name="jikimi.gone")


# --- watching with the shipped model


def test_watching_without_a_model_takes_the_shipped_one_and_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_bundle(tmp_path / "model.jikimi")
    video = write_video(tmp_path / "v.mp4", seconds=2, fps=8)
    monkeypatch.setattr(shipped, "assets", lambda: tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["jikimi", "watch", str(video), "--json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    captured = capsys.readouterr()
    assert end.value.code == 0
    assert captured.err == "watching with the model this install carries: colours\n"
    assert [json.loads(line)["event"] for line in captured.out.splitlines()] == ["started", "ended"]


def test_install_without_a_model_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shipped, "assets", lambda: tmp_path)
    assert "carries no model; give --model" in failure(capsys, monkeypatch, "watch", "v.mp4")


# --- simulating


class Simulated:
    """Stands for the simulators: notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: dict[str, object] = {}

    def __call__(self, out: Path, **asked: object) -> "Simulated":
        self.asked = {"out": out, **asked}
        return self

    def lines(self) -> list[str]:
        return ["2 videos made"]


@pytest.mark.parametrize(
    ("arguments", "kind", "asked"),
    [
        (("--clips", "2", "--workers", "3"), "clips", {"clips": 2, "seed": 42, "workers": 3}),
        (
            ("--streams", "2", "--minutes", "1.5", "--seed", "7"),
            "streams",
            {"streams": 2, "minutes": 1.5, "seed": 7, "workers": os.cpu_count() or 1},
        ),
    ],
)
def test_simulating_asks_for_clips_or_streams(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    kind: str,
    asked: dict[str, object],
) -> None:
    simulators = {"clips": Simulated(), "streams": Simulated()}
    for name, simulator in simulators.items():
        module = types.ModuleType(f"jikimi.sim.{name}")
        setattr(module, f"simulate_{name}", simulator)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(sys, "argv", ["jikimi", "simulate", "--out", "videos", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0 and capsys.readouterr().out == "2 videos made\n"
    assert simulators[kind].asked == {"out": Path("videos"), "progress": None, **asked}
    assert sum(bool(simulator.asked) for simulator in simulators.values()) == 1


def test_simulating_without_mujoco_names_the_extra(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['mujoco'] = None\n"
        f"sys.argv = ['jikimi', 'simulate', '--clips', '1', '--workers', '1', '--out', {str(tmp_path)!r}]\n"
        "from jikimi.cli import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    says = "jikimi: jikimi simulate needs the extra 'sim'; install it with: uv sync --extra sim\n"
    assert (done.returncode, done.stderr, done.stdout) == (1, says, "")


def test_reader_that_goes_away_is_no_trouble(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "x.jikimi")
    video = write_video(tmp_path / "v.mp4", seconds=4, fps=8, draw=accident_between(8, 24, YELLOW))
    command = [sys.executable, "-m", "jikimi", "watch", str(video), "--model", str(bundle), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
        assert process.wait(60) in (0, 1)
