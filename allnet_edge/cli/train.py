"""Train a network on a data set, resumable."""

from pathlib import Path
from typing import Annotated

import typer

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app

app = verb_app()


@app.command()
def train(
    *,
    model: Annotated[str, typer.Option("--model", help="Network of the zoo, e.g. allnet.")],
    data: Annotated[Path, typer.Option("--data", help="Folder of the data set.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    split: Annotated[
        Path | None,
        typer.Option("--split", help="From 'data split'; else by patient, or by block."),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option("--positive", help="Classes that count as positive, with commas."),
    ] = None,
    input_size: Annotated[int, typer.Option("--input-size", help="Side in pixels.")] = 250,
    crop: Annotated[
        int | None, typer.Option("--crop", help="Centre crop before the resize, in pixels.")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over the training part.")] = 40,
    batch_size: Annotated[int, typer.Option("--batch-size")] = 32,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Of Adam.")] = 1e-4,
    schedule: Annotated[
        str, typer.Option("--schedule", help="Of the learning rate: constant or cosine.")
    ] = "constant",
    width: Annotated[
        float, typer.Option("--width", help="Multiplier of all channels; 1 is as published.")
    ] = 1.0,
    augment: Annotated[
        str, typer.Option("--augment", help="none (the paper's) or dihedral (flips and turns).")
    ] = "none",
    per_channel: Annotated[
        bool, typer.Option("--per-channel", help="Standardise each colour by itself.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in the output folder.")
    ] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Train a network: best-on-validation checkpoint, history, and a split that proves itself.

    The engine is Keras 3 on KERAS_BACKEND (tensorflow, jax or torch). A run that was killed goes
    on with --resume, at the epoch where it stood. Research use only.
    """
    from allnet_edge.models import network_names
    from allnet_edge.spec.base import known_name, parse
    from allnet_edge.spec.training import TrainSettings
    from allnet_edge.training.backend import choose_backend

    known_name("model", model, network_names())
    settings = parse(
        {
            "model": model,
            "input_size": input_size,
            "crop": crop,
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "schedule": schedule,
            "width": width,
            "augment": augment,
            "per_channel": per_channel,
            "seed": seed,
        },
        TrainSettings,
        where="train",
    )
    console = Console(as_json=as_json, quiet=quiet)
    backend = choose_backend()

    from pydantic import TypeAdapter

    from allnet_edge.artifacts.builddir import BuildDir
    from allnet_edge.artifacts.files import read_json, write_text
    from allnet_edge.cli.views.train import in_words
    from allnet_edge.data.choose import choose_labels, choose_split
    from allnet_edge.data.scan import load_index
    from allnet_edge.report.document import Epoch
    from allnet_edge.report.history import training_svg
    from allnet_edge.training.fit import train as fit
    from allnet_edge.training.validation import RunMetrics

    with console.progress() as progress:
        index = load_index(data, progress=progress)
        labels = choose_labels(index, None if positive is None else _names(positive))
        chosen = choose_split(index, split, seed=seed)
        console.say(chosen.why)
        with BuildDir.open(out):
            trained = fit(settings, index, chosen, labels, out, resume=resume, progress=progress)
    history = TypeAdapter(list[Epoch]).validate_python(read_json(out / "history.json"))
    write_text(out / "history.svg", training_svg(history))
    metrics = RunMetrics.model_validate(read_json(out / "metrics.json"))
    console.result(
        {
            "run": str(out),
            "backend": backend,
            "weights_sha256": trained.weights_sha256,
            "phantom": metrics.phantom,
            "metrics": metrics.model_dump(mode="json"),
        },
        f"trained {model} ({backend})\n{in_words(metrics)}\nrun: {out}",
    )


def _names(text: str) -> list[str]:
    """Class names between commas, without the blanks around them."""
    return [name.strip() for name in text.split(",") if name.strip()]
