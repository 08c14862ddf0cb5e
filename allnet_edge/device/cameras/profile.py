"""What is stored with a camera: its calibration, the size it holds for, how exposure is set."""

import json
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field, PositiveInt, field_validator, model_validator

from allnet_edge.artifacts import files
from allnet_edge.errors import OutputDirError, RecipeError
from allnet_edge.spec.base import Frozen, parse, read_toml

MICROMETRES = "micrometres"
MATCHED = "matched by cell size"
NOT_CALIBRATED = "not calibrated"

MIN_SCALE, MAX_SCALE = 0.02, 50.0


class Trained(Protocol):
    """What a calibration asks of ``artifacts.appearance.Appearance``."""

    @property
    def um_per_px(self) -> float | None:
        """Of a training image; None where it is unknown."""
        ...


class Matched(Frozen):
    """A scale found by making cells as large as the training cells are.

    Attributes:
        scale: Training pixels per camera pixel.
        cells: Cells that it was found from.
        median: Their median diameter, in camera pixels.
        low: The first quartile, in camera pixels.
        high: The third quartile.
        of: What was measured: whole cells or nuclei.
    """

    scale: float = Field(ge=MIN_SCALE, le=MAX_SCALE, allow_inf_nan=False)
    cells: PositiveInt
    median: float = Field(gt=0, allow_inf_nan=False)
    low: float = Field(gt=0, allow_inf_nan=False)
    high: float = Field(gt=0, allow_inf_nan=False)
    of: Literal["cell", "nucleus"]


class CameraProfile(Frozen):
    """A camera on its microscope, with its objective.

    Attributes:
        name: For people.
        um_per_px: Micrometres per camera pixel; None where it was not measured.
        scale_to: Scales that were matched by cell size, by the bundle's sha256.
        width: Pixels that the calibration holds for; asked for when the camera is opened.
        height: Likewise.
        exposure: ``leave`` what the camera does, or switch its automatics off (``manual``).
    """

    name: str = Field(default="camera", min_length=1, max_length=100)
    um_per_px: float | None = Field(default=None, gt=0, le=1000, allow_inf_nan=False)
    scale_to: dict[str, Matched] = Field(default_factory=dict)
    width: int | None = Field(default=None, ge=16, le=65_535)
    height: int | None = Field(default=None, ge=16, le=65_535)
    exposure: Literal["leave", "manual"] = "leave"

    @field_validator("name")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("has characters that cannot be printed")
        return name

    @model_validator(mode="after")
    def _consistent(self) -> "CameraProfile":
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height belong together")
        wrong = [key for key in self.scale_to if not _is_sha256(key)]
        if wrong:
            raise ValueError(f"scale_to: '{wrong[0]}' is no sha256 of a bundle")
        return self

    @property
    def calibrated(self) -> bool:
        """Whether it knows any scale."""
        return self.um_per_px is not None or bool(self.scale_to)

    def scale(self, appearance: Trained | None, bundle_sha256: str) -> tuple[float, str]:
        """Training pixels per camera pixel, and how that is known.

        Args:
            appearance: Of the bundle's training cells; None where the bundle has none.
            bundle_sha256: ``Bundle.sha256``.

        Returns:
            The scale with ``micrometres``, or with ``matched by cell size`` (size then carries no
            information: every camera's cells are made as large as the training cells), or 1.0 with
            ``not calibrated``.

        Raises:
            RecipeError: The two calibrations are so far apart that one of them is wrong.
        """
        trained = None if appearance is None else appearance.um_per_px
        if self.um_per_px is not None and trained is not None:
            scale = self.um_per_px / trained
            if not MIN_SCALE <= scale <= MAX_SCALE:
                raise RecipeError(
                    f"{self.um_per_px:g} um per camera pixel against {trained:g} um per training "
                    f"pixel would scale cells by {scale:g}",
                    where=self.name,
                    fix="calibrate the camera again; um_per_px is in micrometres",
                )
            return scale, MICROMETRES
        matched = self.scale_to.get(bundle_sha256)
        return (1.0, NOT_CALIBRATED) if matched is None else (matched.scale, MATCHED)

    def misfit(self, width: int | None, height: int | None) -> str | None:
        """Why the calibration does not hold for pictures of this size; None where it does.

        Args:
            width: Pixels that the camera gives; None where it is not known yet.
            height: Likewise.
        """
        known = width is not None and height is not None and self.width is not None
        if not known or (width, height) == (self.width, self.height):
            return None
        return (
            f"The camera gives {width} x {height} pixels, its profile '{self.name}' is for "
            f"{self.width} x {self.height}: the calibration does not hold; set the size or "
            "calibrate again."
        )


def read_profile(path: Path) -> CameraProfile:
    """Read a profile, TOML by its suffix, else JSON.

    Raises:
        RecipeError: The file cannot be read, or has an unknown key or a wrong value.
    """
    if path.suffix.lower() == ".toml":
        return read_toml(path, CameraProfile)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read the file: {error.strerror}", where=path) from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise RecipeError(f"not valid JSON: {error}", where=path) from error
    except RecursionError as error:
        raise RecipeError("not valid JSON: nested too deeply", where=path) from error
    return parse(raw, CameraProfile, where=path)


def write_profile(path: Path, profile: CameraProfile) -> None:
    """Write a profile whole or not at all, TOML by its suffix, else JSON.

    Raises:
        OutputDirError: The folder is absent or not writable.
    """
    data = profile.model_dump(mode="json", exclude_none=True)
    as_toml = path.suffix.lower() == ".toml"
    try:
        files.write_bytes(path, _toml(data) if as_toml else files.canonical_json(data))
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise OutputDirError(
            f"cannot write the profile: {error.strerror}",
            where=path,
            fix="name a file in a folder that exists and that you may write to",
        ) from error


def _toml(data: dict[str, object]) -> bytes:
    """Strings, numbers, and tables of them: JSON's notation of these is TOML's, too."""
    scale_to = data.pop("scale_to", {})
    lines = [f"{key} = {_value(value)}" for key, value in data.items()]
    if isinstance(scale_to, dict):
        for sha256, matched in scale_to.items():
            lines += ["", f"[scale_to.{sha256}]"]
            lines += [f"{key} = {_value(value)}" for key, value in matched.items()]
    return ("\n".join(lines) + "\n").encode()


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
