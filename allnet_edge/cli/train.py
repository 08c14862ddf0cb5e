"""Train a network on a data set, resumable."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app

app = verb_app()


@app.command()
def train(
    *,
    data: Annotated[Path, typer.Option("--data", help="Folder of the data set.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    model: Annotated[
        str | None,
        typer.Option("--model", help="Network of the zoo, e.g. allnet; trained by its own recipe."),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="Another recipe (TOML) than that of --model.")
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option("--split", help="From 'data split'; else by patient, or by block."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", help="Split by patient, block, paper or random (both leak)."),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option("--positive", help="Classes that count as positive, with commas."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", help="Start from none (random), imagenet or a file.")
    ] = None,
    input_size: Annotated[
        int | None, typer.Option("--input-size", help="Side in pixels.", show_default="recipe")
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option("--crop", help="Centre crop before the resize, in pixels; 0 for none."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Passes over the training part.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Of Adam, before the schedule.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", help="constant, cosine, step or exponential.")
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            "--select", help="The epoch that is kept: of the best accuracy, weighted_f1 or auc."
        ),
    ] = None,
    width: Annotated[
        float | None, typer.Option("--width", help="Multiplier of all channels; 1 is as published.")
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            "--augment", help="none, dihedral (flips, quarter turns) or affine (turns, shifts)."
        ),
    ] = None,
    oversample: Annotated[
        str | None, typer.Option("--oversample", help="none or smote (training part only).")
    ] = None,
    per_channel: Annotated[
        bool | None,
        typer.Option("--per-channel/--one-channel", help="Standardise each colour by itself."),
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="float32 or bfloat16 (mixed precision).")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed")] = None,
    teacher: Annotated[
        Path | None,
        typer.Option("--teacher", help="RUN folder of a network to learn from; its split is used."),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="That softens the teacher's answers.")
    ] = None,
    distil_weight: Annotated[
        float | None, typer.Option("--distil-weight", help="Share of the teacher in the loss.")
    ] = None,
    hints: Annotated[
        str | None,
        typer.Option("--hints", help="Compare maps too: none, auto or MINE=TEACHERS,..."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in the output folder.")
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", help="Processes that decode images; 0 for threads.")
    ] = 0,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Folder that keeps the decoded pixels.")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write event files into RUN/tensorboard.")
    ] = False,
    distribute: Annotated[
        str, typer.Option("--distribute", help="none, local (all GPUs here) or hosts.")
    ] = "none",
    coordinator: Annotated[
        str | None, typer.Option("--coordinator", help="Of hosts: HOST:PORT of process 0.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", help="Of hosts: how many.")
    ] = None,
    process: Annotated[
        int | None, typer.Option("--process", help="Of hosts: which one this is, from 0.")
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Train a network: best-on-validation checkpoint, history, and a split that proves itself.

    Settings that are not given come from the network's own recipe, which follows its paper. The
    engine is Keras 3 on KERAS_BACKEND (tensorflow, jax or torch). A run that was killed goes on
    with --resume, at the epoch where it stood. Research use only.
    """
    from allnet_edge.spec.base import parse
    from allnet_edge.spec.training import TrainRuntime
    from allnet_edge.training.backend import choose_backend
    from allnet_edge.training.settings import parse_hints, resolve

    given = {
        "input_size": input_size,
        "crop": crop,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "select": select,
        "width": width,
        "weights": weights,
        "augment": augment,
        "oversample": oversample,
        "per_channel": per_channel,
        "precision": precision,
        "seed": seed,
    }
    distil = {
        "temperature": temperature,
        "weight": distil_weight,
        "hints": None if hints is None else parse_hints(hints),
    }
    told = resolve(model, recipe, given, taught=teacher is not None, distil=distil)
    runtime = parse(
        {
            "workers": workers,
            "cache": cache,
            "tensorboard": tensorboard,
            "distribute": distribute,
            "hosts": {"coordinator": coordinator, "processes": processes, "process": process},
        },
        TrainRuntime,
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
    from allnet_edge.training.distribute import gather
    from allnet_edge.training.fit import train as fit
    from allnet_edge.training.settings import fit_crop
    from allnet_edge.training.validation import RunMetrics

    with gather(runtime) as crew, console.progress() as progress:
        index = load_index(data, progress=progress)
        labels = choose_labels(index, None if positive is None else _names(positive))
        console.say(f"classes: {', '.join(labels.classes)}")
        settings, said = fit_crop(told, index, asked=crop is not None)
        if said:
            console.say(said)
        if teacher is not None and split is None and protocol is None:
            split = teacher / "split.json"
        chosen = choose_split(index, split, protocol=protocol, seed=settings.seed)
        console.say(chosen.why)
        # Process 0 alone writes the run, so only it takes the folder.
        with BuildDir.open(out) if crew.leads else nullcontext():
            trained = fit(
                settings,
                index,
                chosen,
                labels,
                out,
                runtime=runtime,
                crew=crew,
                teacher=teacher,
                resume=resume,
                progress=progress,
            )
    if trained is None:
        console.result({"process": crew.process}, f"process {crew.process}: done, 0 has the run")
        return
    history = TypeAdapter(list[Epoch]).validate_python(read_json(out / "history.json"))
    metrics = RunMetrics.model_validate(read_json(out / "metrics.json"))
    write_text(out / "history.svg", training_svg(history, metrics.validation.epoch))
    console.result(
        {
            "run": str(out),
            "backend": backend,
            "weights_sha256": trained.weights_sha256,
            "phantom": metrics.phantom,
            "metrics": metrics.model_dump(mode="json"),
        },
        f"trained {settings.model} ({backend})\n{in_words(metrics)}\nrun: {out}",
    )


def _names(text: str) -> list[str]:
    """Class names between commas, without the blanks around them."""
    return [name.strip() for name in text.split(",") if name.strip()]
