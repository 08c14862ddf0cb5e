"""What this machine can train, convert, compile and run, told without importing the heavy parts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import util

from allnet_edge.engines.opening import require
from allnet_edge.errors import MissingDependencyError
from allnet_edge.measure.system import package_version

KERAS_BACKENDS = ("jax", "torch", "tensorflow")


@dataclass(frozen=True, slots=True)
class Ability:
    """Something that a machine can do if the packages are there.

    Attributes:
        modules: Import name and distribution of each package.
        extra: The extra of this package that installs them; empty where none does.
        hint: What else is to be known when one is missing.
        engine: The runtime that has to load, too; a package may be there and broken.
        any_of: Modules of which one must be there.
    """

    name: str
    modules: tuple[tuple[str, str], ...]
    extra: str = ""
    hint: str = ""
    engine: str | None = None
    any_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """An ability of this machine, or what it lacks.

    Attributes:
        versions: Of the distributions that are there; None where one does not tell.
        missing: Distributions that are not there, or the reason why one does not load.
        fix: What to do about it; empty where nothing is missing.
    """

    ability: str
    can: bool
    versions: dict[str, str | None]
    missing: tuple[str, ...]
    fix: str

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)


TRAIN, BUILD = "train a network", "compress and convert it"
_KERAS = (("keras", "keras"), ("safetensors", "safetensors"))
ABILITIES = (
    Ability(
        TRAIN,
        _KERAS,
        extra="train",
        any_of=KERAS_BACKENDS,
    ),
    Ability(
        "evaluate it",
        (*_KERAS, ("sklearn", "scikit-learn"), ("jinja2", "jinja2")),
        extra="train",
        any_of=KERAS_BACKENDS,
    ),
    Ability(
        BUILD,
        (
            ("tensorflow", "tensorflow"),
            ("tf_keras", "tf-keras"),
            ("tensorflow_model_optimization", "tensorflow-model-optimization"),
            ("tf2onnx", "tf2onnx"),
            ("onnx", "onnx"),
            ("onnxruntime", "onnxruntime"),
            ("ai_edge_litert", "ai-edge-litert"),
            ("ai_edge_quantizer", "ai-edge-quantizer"),
            ("safetensors", "safetensors"),
            ("jinja2", "jinja2"),
            ("cryptography", "cryptography"),
        ),
        extra="build",
    ),
    Ability(
        "prove graphs for TensorRT",
        (("tensorrt_rtx", "tensorrt-rtx"),),
        extra="build",
        hint="on x86-64 Linux only",
    ),
    Ability(
        "compile TensorRT engines",
        (("tensorrt", "tensorrt"),),
        hint="part of JetPack on a Jetson: make the environment with --system-site-packages",
    ),
    Ability("run .tflite", (("ai_edge_litert", "ai-edge-litert"),), "litert", engine="litert"),
    Ability("run .onnx", (("onnxruntime", "onnxruntime"),), "onnx", engine="onnx"),
    Ability(
        "find cells in fields, read cameras",
        (("cv2", "opencv-python-headless"),),
        extra="field",
        hint="on a Jetson JetPack's own OpenCV, which alone reads CSI cameras",
    ),
    Ability("sign and check bundles", (("cryptography", "cryptography"),), "onnx"),
)


def extra_of(module: str) -> str | None:
    """The extra of this package that installs a module, by its import name; None where unknown.

    Of several the one with the fewest packages: a device that lacks ``cryptography`` needs no
    TensorFlow.
    """
    having = [one for one in ABILITIES if one.extra and module in dict(one.modules)]
    return min(having, key=lambda one: len(one.modules)).extra if having else None


def require_ability(name: str) -> None:
    """Refuse early, with everything that is missing, instead of in the middle of the work.

    Raises:
        MissingDependencyError: Names the packages and the extra that has them.
    """
    ability = next(one for one in ABILITIES if one.name == name)
    finding = _examine(ability)
    if not finding.can:
        raise MissingDependencyError(
            f"this machine cannot {name}: {', '.join(finding.missing)} not installed",
            fix=finding.fix,
        )


def examine(abilities: Sequence[Ability] = ABILITIES) -> list[Finding]:
    """Look at this machine."""
    return [_examine(ability) for ability in abilities]


def _examine(ability: Ability) -> Finding:
    missing = [package for module, package in ability.modules if not _present(module)]
    versions = {
        package: package_version(package)
        for _, package in ability.modules
        if package not in missing
    }
    found = [module for module in ability.any_of if _present(module)]
    versions |= {module: package_version(module) for module in found}
    if ability.any_of and not found:
        missing.append(f"one of {', '.join(ability.any_of)}")
    if ability.engine and not missing:
        try:
            require(ability.engine)
        except MissingDependencyError as error:
            missing.append(error.what)
    install = f"pip install 'allnet-edge[{ability.extra}]'" if ability.extra else ""
    fix = "; ".join(filter(None, (install, ability.hint))) if missing else ""
    return Finding(ability.name, not missing, versions, tuple(missing), fix)


def _present(module: str) -> bool:
    """Whether a module could be imported, without the seconds that importing it takes."""
    return util.find_spec(module) is not None
