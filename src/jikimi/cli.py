"""The commands. Each imports what it needs when it runs, so that `--help` and `watch` start at once."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from jikimi import cli_site
from jikimi.errors import JikimiError, SettingsError
from jikimi.extras import needs
from jikimi.options import (
    Behaviors,
    DeviceName,
    HeadName,
    InputsName,
    Layout,
    Modality,
    RecipeName,
    Side,
    Threads,
    WatchModel,
)

if TYPE_CHECKING:
    from rich.console import Console

    from jikimi.bundle import Bundle, Scorer
    from jikimi.sim.clips import Summary
    from jikimi.sim.streams import StreamSummary
    from jikimi.watch.event import WatchEvent

app = typer.Typer(
    name="jikimi",
    help="Jikimi (지킴이): learns accidents from labelled clips, watches cameras, raises alarms.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("jikimi"))
        raise typer.Exit


@app.callback()
def _global(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the whole trace when something fails.")
    ] = False,
) -> None:
    """Options of the whole program: eager ones act by themselves, --debug is taken out by `main`."""


@app.command()
def prepare(
    sources: Annotated[list[Path], typer.Argument(metavar="SRC...", help="Folders of clips, or a CSV.")],
    out: Annotated[Path, typer.Option("--out", metavar="DATA", help="Where the data set goes.")],
    layout: Annotated[Layout, typer.Option(help="How the sources lie on disk.")] = Layout.auto,
    annotations: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Labels: path, behavior, event_start_s, ...")
    ] = None,
    modality: Annotated[Modality, typer.Option(help="Colour clips, thermal ones, or both.")] = Modality.rgb,
    rate_hz: Annotated[float, typer.Option(help="Frames a second to keep.")] = 8.0,
    short_side: Annotated[int, typer.Option(help="Shorter side of the kept frames, pixels.")] = 256,
    val_ratio: Annotated[float, typer.Option(help="Share of clips to validate on.")] = 0.3,
    seed: Annotated[int, typer.Option(min=0, help="Decides the split.")] = 42,
    workers: Annotated[int | None, typer.Option(help="Clips decoded at once; default: one a core.")] = None,
    behaviors: Behaviors = None,
    like: Annotated[
        Path | None,
        typer.Option(metavar="DATA", help="Keep the sides of this data set; new groups are trained on."),
    ] = None,
) -> None:
    """Turn labelled videos into a data set: frames, a manifest, and a split without leaks.

    Example: jikimi prepare /videos --out data
    """
    with needs("train", "prepare"):
        from jikimi.behaviors import BEHAVIORS, load_behaviors
        from jikimi.data.prepare import PrepareSettings
        from jikimi.data.prepare import prepare as run
    settings = PrepareSettings(
        layout=layout.value,
        annotations=annotations,
        modality=modality.value,
        rate_hz=rate_hz,
        short_side_px=short_side,
        val_ratio=val_ratio,
        seed=seed,
        workers=workers or os.cpu_count() or 1,
        like=like,
    )
    label_set = load_behaviors(behaviors) if behaviors else BEHAVIORS
    with _progress("preparing clips") as progress:
        summary = run(sources, out, settings, behaviors=label_set, progress=progress)
    for line in summary.lines():
        print(line)


@app.command()
def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A prepared data set.")],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Where the run goes.")],
    recipe: Annotated[RecipeName, typer.Option(help="What to train, and how.")] = RecipeName.baseline,
    epochs: Annotated[int | None, typer.Option(min=1, help="Over all stages of the recipe.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Windows a step, all processes together.")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate of the first stage.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Any timm encoder.")] = None,
    weights: Annotated[str, typer.Option(metavar="imagenet|none|PATH", help="Encoder weights.")] = "imagenet",
    views: Annotated[int | None, typer.Option(min=1, help="Augmented views of each clip to cache.")] = None,
    inputs: Annotated[
        InputsName | None, typer.Option(help="What the encoder sees: colours, change, or both.")
    ] = None,
    head: Annotated[
        HeadName | None, typer.Option(help="What reads the window; mean and last are plain baselines.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many epochs without a gain.")
    ] = None,
    device: Annotated[DeviceName, typer.Option(help="What to train on.")] = DeviceName.auto,
    num_workers: Annotated[int, typer.Option(min=0, help="Processes that read pictures.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in RUN.")] = False,
    tune: Annotated[
        Path | None,
        typer.Option(metavar="best.pth", help="Tune this model, by its own recipe, instead of a new one."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides initial weights, order and augmentation.")] = 42,
) -> None:
    """Train a model on a prepared data set.

    Example: jikimi train data --out runs/first --recipe edge
    """
    with needs("train", "train"):
        from jikimi.train import devices, fit, recipes
    chosen = recipes.RECIPES[recipe.value](weights=weights) if tune is None else fit.recipe_to_tune(tune)
    changes: dict[str, Any] = {
        "backbone": backbone, "batch_size": batch_size, "views": views, "patience": patience, "seed": seed,
        "inputs": inputs.value if inputs else None, "head": head.value if head else None,
    }  # fmt: skip
    chosen = recipes.with_options(chosen, epochs=epochs, lr=lr, **changes)
    devices.check_device(device.value)
    say: Callable[[str], None] = print if devices.is_main_process() else lambda _line: None
    with _progress("encoding clips") as progress:
        best = fit.fit(
            data,
            out,
            chosen,
            device=device.value,
            resume=resume,
            start=tune,
            workers=num_workers,
            say=say,
            progress=progress,
        )
    say(
        f"best epoch {best['epoch']}: validation accuracy {best['val_accuracy']:.3f}, "
        f"loss {best['val_loss']:.3f}; kept as {out / 'best.pth'}"
    )


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="best.pth, or a bundle.")],
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A prepared data set, or a folder of streams.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the report goes.")],
    truth: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Streams: camera, behavior, start_s, end_s.")
    ] = None,
    split: Annotated[Side, typer.Option(help="Which clips of the data set.")] = Side.val,
    device: Annotated[DeviceName, typer.Option(help="What best.pth runs on.")] = DeviceName.auto,
) -> None:
    """Measure a model on clips, or on whole streams, and write a report.

    Example: jikimi evaluate model.jikimi data --out report
    """
    with needs("train", "evaluate"):
        from jikimi.data.manifest import MANIFEST, read_manifest
        from jikimi.train.evaluate import evaluate_clips, evaluate_streams
    scorer = _scorer(model, device)
    if truth is None and not (data / MANIFEST).is_file():
        raise SettingsError(f"{data}: no prepared data set; for a folder of streams give --truth CSV")
    with _progress("scoring") as progress:
        if truth is not None:
            result = evaluate_streams(scorer, data, truth, out=out, progress=progress)
        else:
            manifest = read_manifest(data)
            result = evaluate_clips(scorer, manifest, out=out, split=split.value, progress=progress)
    print(result.summary)
    for note in result.notes:
        print(f"note: {note}")
    print(f"report: {result.report}")


def _scorer(model: Path, device: DeviceName) -> "Scorer":
    if model.suffix != ".pth":
        from jikimi.bundle import load_bundle

        return load_bundle(model)
    from jikimi.train.checkpoint import TorchScorer, load_checkpoint
    from jikimi.train.devices import check_device, torch_device

    check_device(device.value)
    return TorchScorer(load_checkpoint(model), device=str(torch_device(device.value)))


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A training run, or its best.pth.")],
    out: Annotated[Path, typer.Option("--out", metavar="X.jikimi", help="The bundle to write.")],
    int8: Annotated[bool, typer.Option("--int8", help="Quantise the encoder to 8 bits.")] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA", help="Prepared clips, or streams with their truth.csv; default: the run's clips."
        ),
    ] = None,
    max_false_alarms: Annotated[
        float, typer.Option(min=0, help="False alarms per camera-hour that the thresholds keep to.")
    ] = 0.042,
) -> None:
    """Make a bundle: what a camera box needs to watch, in one file.

    Example: jikimi export runs/first --out model.jikimi
    """
    with needs("train", "export"):
        from jikimi.behaviors import keys, normal_index
        from jikimi.data.manifest import read_manifest
        from jikimi.train.checkpoint import BEST, load_checkpoint
        from jikimi.train.export import export as write_bundle
        from jikimi.train.truth import TRUTH, read_truth
    checkpoint = load_checkpoint(run / BEST if run.is_dir() else run)
    known = checkpoint.origin.behaviors
    streams = None
    if calibration is not None and (calibration / TRUTH).is_file():
        normal = known[normal_index(known)].key
        streams = read_truth(calibration, calibration / TRUTH, behaviors=keys(known), normal=normal)
    clips = calibration if calibration is not None and streams is None else None
    manifest = read_manifest(clips or Path(checkpoint.origin.training["data"]))
    with _progress("calibrating") as progress:
        card = write_bundle(
            checkpoint, manifest, out, name=out.stem, int8=int8, streams=streams,
            max_false_alarms_per_hour=max_false_alarms, say=print, progress=progress,
        )  # fmt: skip
    thresholds = sorted(set(card.rule.theta_on.values()))
    print(f"temperature {card.temperature:.2f}, raises from {', '.join(f'{t:.2f}' for t in thresholds)}")
    if card.calibration.get("note"):
        print(f"note: {card.calibration['note']}")
    print(f"bundle: {out} ({out.stat().st_size / 1e6:.1f} MB)")


@app.command()
def mine(
    recordings: Annotated[Path, typer.Argument(metavar="DIR", help="Recordings with their truth.csv.")],
    model: Annotated[Path, typer.Option("--model", metavar="X.jikimi", help="The model to improve.")],
    out: Annotated[Path, typer.Option("--out", metavar="CLIPS", help="Where the clips go.")],
    truth: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Another truth: camera, behavior, start_s, end_s.")
    ] = None,
    above: Annotated[
        float, typer.Option(min=0, max=1, help="Normal work counts from this probability of an accident.")
    ] = 0.1,
    per_hour: Annotated[
        float, typer.Option(min=0, help="At most so many clips an hour of normal work.")
    ] = 300,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Recordings at once; default: one a core.")
    ] = None,
) -> None:
    """Cut what a model takes for an accident out of long recordings, to train it on.

    Example: jikimi mine recordings --model model.jikimi --out hard
    """
    with needs("train", "mine"):
        from jikimi.bundle import load_bundle
        from jikimi.train.mine import mine as run
        from jikimi.train.truth import TRUTH, read_truth
    card = load_bundle(model).card
    table = truth or recordings / TRUTH
    normal = card.behaviors[card.normal_index].key
    streams = read_truth(recordings, table, behaviors=card.keys, normal=normal)
    with _progress("mining") as progress:
        mined = run(
            model, streams, out, above=above, per_hour=per_hour, workers=workers or os.cpu_count() or 1,
            progress=progress,
        )  # fmt: skip
    for line in mined.lines():
        print(line)


@app.command()
def watch(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="SRC", help="Files, folders, addresses, devices.")
    ] = None,
    model: WatchModel = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where evidence goes; without it none is kept."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    realtime: Annotated[bool, typer.Option("--realtime", help="Play files at their own pace.")] = False,
    threads: Threads = 0,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="jikimi.toml", help="Watch this site instead of SRC, without its API."
        ),
    ] = None,
) -> None:
    """Watch videos or cameras and raise incidents, without any screen.

    Example: jikimi watch video.mp4 --out evidence
    """
    if config is not None:
        if sources or model or out or as_json or realtime or threads:
            raise typer.BadParameter("--config watches the site of that file; it goes with nothing else")
        cli_site.run_site(config, parts=(cli_site.PartName.site, cli_site.PartName.dispatch))
        return
    if not sources:
        raise typer.BadParameter("give SRC, or --config jikimi.toml")
    from jikimi.stopping import stop_on_signals
    from jikimi.watch.pipeline import watch as run

    bundle = _watching_bundle(model, threads=threads)
    emit = _print_json if as_json else _print_line
    summary = run(sources, bundle=bundle, out=out, realtime=realtime, emit=emit, stop=stop_on_signals())
    if not as_json:
        print(f"{summary.incidents} incidents, {summary.faults} faults, {summary.decisions} decisions")
    blind = [camera for camera in summary.cameras if camera.faults and not camera.decisions]
    if blind and not summary.stopped:  # a camera that was never seen must not pass for a quiet one
        raise typer.Exit(1)


def _watching_bundle(model: Path | None, *, threads: int) -> "Bundle":
    """Load what to watch with; saying so on stderr where nobody chose it."""
    from jikimi.bundle import load_bundle
    from jikimi.shipped import shipped_model

    if model is not None:
        return load_bundle(model, threads=threads)
    bundle = load_bundle(shipped_model(), threads=threads)
    print(f"watching with the model this install carries: {bundle.card.name}", file=sys.stderr)
    return bundle


def _print_json(event: "WatchEvent") -> None:
    print(json.dumps(event.as_json(), ensure_ascii=False), flush=True)


def _print_line(event: "WatchEvent") -> None:
    parts = [f"{event.t_s:8.2f} s", event.camera, event.event]
    if event.behavior is not None and event.score is not None:
        parts.append(f"{event.behavior} {event.score:.2f}")
    if event.evidence is not None:
        parts.append(str(event.evidence))
    if event.event == "fault":
        parts.append(str(event.details.get("message", "")))
    print("  ".join(parts), flush=True)


@app.command()
def demo(
    seconds: Annotated[
        int | None,
        typer.Option(min=1, max=604_800, help="Play over and over for so long; default: once to the end."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where evidence goes.")] = Path(
        "jikimi-demo"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    model: WatchModel = None,
    threads: Threads = 0,
) -> None:
    """Watch sample cameras with the shipped model and show what it raises. Needs nothing else.

    Example: jikimi demo --seconds 60
    """
    from rich.console import Console

    from jikimi.bundle import load_bundle
    from jikimi.shipped import shipped_model, shipped_samples
    from jikimi.stopping import stop_on_signals
    from jikimi.watch import demo as demo_
    from jikimi.watch import demo_text as text

    shipped = shipped_samples()
    bundle = load_bundle(model or shipped_model(), threads=threads)
    demo_.check_writable(out)
    samples, console = shipped.samples, Console(quiet=as_json, highlight=False, markup=False)
    names, cameras = text.names(bundle.card.behaviors), [sample.camera for sample in samples]

    def emit(number: int, event: "WatchEvent") -> None:
        line = text.line(number, event, cameras=cameras, names=names)
        if as_json:
            print(json.dumps({**event.as_json(), "round": number}, ensure_ascii=False), flush=True)
        elif line is not None:
            console.print(line, soft_wrap=True)

    opening = text.opening(shipped, model=bundle.card.name, seconds=seconds)
    console.print(*opening, sep="\n", soft_wrap=True)
    with _elapsed(console, "watching"):
        rounds = demo_.play(
            samples, bundle=bundle, out=out, emit=emit, seconds=seconds, stop=stop_on_signals()
        )
    outcomes = demo_.compare(samples, rounds)
    if as_json:
        print(json.dumps(demo_.as_json(outcomes, rounds), ensure_ascii=False))
    console.print(text.table(samples, outcomes, names=names))
    console.print(*text.closing(outcomes, rounds, out=out), sep="\n", soft_wrap=True)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the videos go.")],
    clips: Annotated[int | None, typer.Option(min=1, help="Labelled clips to make.")] = None,
    streams: Annotated[int | None, typer.Option(min=1, help="Camera recordings to make, with truth.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Length of each stream.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides everything in them.")] = 42,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Videos made at once; default: one a core.")
    ] = None,
) -> None:
    """Make labelled clips, or whole streams with their truth, of simulated workers.

    Example: jikimi simulate --out videos --clips 60
    """
    if (clips is None) == (streams is None) or (streams is None) != (minutes is None):
        raise typer.BadParameter("give either --clips N, or --streams N with --minutes M")
    if minutes is not None and not 0 < minutes < float("inf"):
        raise typer.BadParameter("--minutes must be above 0")
    with needs("sim", "simulate"):
        from jikimi.sim.clips import simulate_clips
        from jikimi.sim.streams import simulate_streams
    common: dict[str, Any] = {"seed": seed, "workers": workers or os.cpu_count() or 1}
    with _progress("simulating") as progress:
        summary: Summary | StreamSummary
        if clips is not None:
            summary = simulate_clips(out, clips=clips, progress=progress, **common)
        elif streams is not None and minutes is not None:
            summary = simulate_streams(out, streams=streams, minutes=minutes, progress=progress, **common)
    for line in summary.lines():
        print(line)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on stderr, or nothing when nobody looks at a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _elapsed(console: "Console", what: str) -> Iterator[None]:
    """The time that has gone by, below what `console` prints, where somebody looks at a terminal."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    shown = console.is_terminal and not console.quiet
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        bar.add_task(what, total=None)
        yield


cli_site.register(app)


def main() -> None:
    """Run a command: 0 done, 1 failed with one line on stderr, 2 wrong usage."""
    # Wherever it stands on the line, --debug belongs to the whole program.
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        app(arguments)
    except JikimiError as error:
        if debug:
            raise
        _fail(str(error))
    except BrokenPipeError:
        # Whoever read the output has gone; the interpreter would complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}; --debug shows where")


def _fail(message: str) -> NoReturn:
    print("jikimi: " + " ".join(message.split()), file=sys.stderr)  # one line, whatever a library said
    sys.exit(1)
