"""The appearance of one phantom cell: a stained lymphoid cell cut out on black.

Shapes are closed outlines in polar form, chromatin is value noise on a lattice, and colour follows
the Beer-Lambert law: transmitted light = lamp x exp(-density x stain). Every length is a fraction
of the frame's width, so that the same cell can be rendered at any size.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

FloatField = npt.NDArray[np.float32]
Rgb = tuple[float, float, float]

WINDOW = 0.76
"""Side of the square that may hold cell pixels; the rest of the frame is black."""
SHIFT = 0.04
"""How far the window may lie off the frame's centre."""
LARGEST_RADIUS = 0.37
_ANGLES = 1024
_LATTICE = 36
_DENSITY_STEPS = 1024
_DENSITY_TOP = 2.5


@dataclass(frozen=True, slots=True)
class Optics:
    """Stain, light and camera of one image.

    Attributes:
        lamp: Light that reaches the camera without a cell, RGB in grey values (0-255).
        nuclear_stain: Extinction of the nucleus at density 1, for R, G and B.
        cytoplasm_stain: Extinction of the cytoplasm at density 1, for R, G and B.
        gamma: Exponent on the transmitted light.
        blur: Standard deviation of the defocus, as a fraction of the frame's width.
        noise: Standard deviation of the camera noise, in grey values.
    """

    lamp: Rgb
    nuclear_stain: Rgb
    cytoplasm_stain: Rgb
    gamma: float
    blur: float
    noise: float


@dataclass(frozen=True, slots=True)
class CellTraits:
    """What a cytologist would describe, as numbers; lengths are fractions of the frame's width.

    Attributes:
        radius: Mean radius of the cell.
        elongation: Relative amplitude of the oval (second harmonic) of the outline.
        irregularity: Relative amplitude of the higher harmonics of both outlines.
        nucleus_ratio: Radius of the nucleus divided by that of the cell.
        eccentricity: Offset of the nucleus, as a fraction of the room that it has.
        cleft: Depth of the nuclear indentation, relative to the nucleus.
        density: Mean optical density of the nucleus; 1 is typical.
        clumping: Amplitude of the coarse chromatin clumps.
        clump_size: Distance between clumps.
        grain: Amplitude of the fine chromatin.
        grain_size: Distance between fine grains.
        nucleoli: Number of nucleoli.
        nucleolus_radius: Mean radius of a nucleolus.
        nucleolus_depth: How much paler than the chromatin a nucleolus is.
        cytoplasm_density: Optical density of the cytoplasm.
    """

    radius: float
    elongation: float
    irregularity: float
    nucleus_ratio: float
    eccentricity: float
    cleft: float
    density: float
    clumping: float
    clump_size: float
    grain: float
    grain_size: float
    nucleoli: int
    nucleolus_radius: float
    nucleolus_depth: float
    cytoplasm_density: float


@dataclass(frozen=True, slots=True)
class Canvas:
    """Coordinates of the window, computed once for all cells of one image size.

    Attributes:
        size: Side of the frame in pixels.
        x: Column position, (w, w) float32, 0 at the window's centre.
        y: Row position, likewise.
        radius: Distance from the centre, likewise.
        angle: Direction as an index into an outline of 1024 directions, (w, w) int16.
    """

    size: int
    x: FloatField
    y: FloatField
    radius: FloatField
    angle: npt.NDArray[np.int16]

    @classmethod
    def of(cls, size: int) -> "Canvas":
        side = int(WINDOW * size)
        axis = ((np.arange(side) - (side - 1) / 2) / size).astype(np.float32)
        y, x = np.meshgrid(axis, axis, indexing="ij")
        turn = np.arctan2(y.astype(np.float64), x.astype(np.float64)) / (2 * np.pi)
        angle = np.floor(turn * _ANGLES + 0.5).astype(np.int64) % _ANGLES
        return cls(size, x, y, np.sqrt(x * x + y * y), angle.astype(np.int16))


def render(
    traits: CellTraits, optics: Optics, canvas: Canvas, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Draws one cell.

    Args:
        traits: What the cell looks like.
        optics: How it is stained and seen.
        canvas: Coordinates for the wanted image size.
        rng: Source of everything the traits leave open (outline, position of the clumps, noise).

    Returns:
        (size, size, 3) uint8 RGB; pixels outside the cell are exactly 0.
    """
    cell, nucleus = _outlines(traits, rng)
    rim = _gather(cell, canvas) - canvas.radius
    inside = _soft_step(_gather(nucleus, canvas) - canvas.radius, 0.012)
    nuclear = inside * _chromatin(traits, nucleus, canvas, rng)
    thickness = traits.cytoplasm_density * (1.0 + 0.25 * _value_noise(0.05, canvas, rng))
    sigma = optics.blur * canvas.size
    nuclear = _gaussian(nuclear, sigma)
    plasma = _gaussian(thickness * (1.0 - inside), sigma)
    light = _transmit(nuclear, plasma, optics)
    light += np.float32(optics.noise) * rng.standard_normal(light.shape, dtype=np.float32)
    visible = (rim > 0) & _uncut(traits, canvas, rng)
    seen = np.clip(light, 1.0, 255.0) * visible[..., None]
    return _place(seen.astype(np.uint8), canvas, rng)


def _outlines(traits: CellTraits, rng: np.random.Generator) -> tuple[FloatField, FloatField]:
    """Radius of the cell and of the nucleus for each of 1024 directions."""
    theta = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    order = np.arange(2, 10)
    fall = np.where(order == 2, traits.elongation, 1.6 * traits.irregularity / order)

    def wave(amplitude: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        phase = rng.uniform(0, 2 * np.pi, order.size)[:, None]
        size = (amplitude * rng.normal(0, 1, order.size))[:, None]
        return np.asarray((size * np.cos(order[:, None] * theta + phase)).sum(0))

    shape = wave(fall)
    cell = traits.radius * (1 + shape)
    nucleus = traits.radius * traits.nucleus_ratio * (1 + shape + wave(0.5 * fall))
    notch = rng.uniform(0, 2 * np.pi)
    nucleus *= 1 - traits.cleft * np.exp((np.cos(theta - notch) - 1) / 0.06)
    room = traits.radius * (1 - traits.nucleus_ratio)
    nucleus += traits.eccentricity * room * np.cos(theta - rng.uniform(0, 2 * np.pi))
    # Segmentation leaves burrs: a ragged edge and now and then a spur of background.
    cell *= 1 + 0.006 * np.repeat(rng.normal(0, 1, _ANGLES // 8), 8)
    if rng.random() < 0.35:
        spur = rng.uniform(0, 2 * np.pi)
        cell += rng.uniform(0.005, 0.03) * np.exp((np.cos(theta - spur) - 1) / 0.002)
    cell = np.minimum(cell, LARGEST_RADIUS)
    return cell.astype(np.float32), np.minimum(nucleus, cell).astype(np.float32)


def _chromatin(
    traits: CellTraits, nucleus: FloatField, canvas: Canvas, rng: np.random.Generator
) -> FloatField:
    """Optical density of the nucleus over the window: clumps, fine grain, pale nucleoli."""
    clumps = _soft_step(_value_noise(traits.clump_size, canvas, rng), 1.2) - np.float32(0.5)
    grains = _value_noise(traits.grain_size, canvas, rng)
    field = clumps * np.float32(2 * traits.clumping) + grains * np.float32(traits.grain)
    for _ in range(traits.nucleoli):
        field -= np.float32(traits.nucleolus_depth) * _nucleolus(traits, nucleus, canvas, rng)
    return np.asarray(np.float32(traits.density) * (1 + field), dtype=np.float32)


def _nucleolus(
    traits: CellTraits, nucleus: FloatField, canvas: Canvas, rng: np.random.Generator
) -> FloatField:
    """A pale disc with a dark ring of condensed chromatin around it."""
    turn, reach, scale = rng.uniform(0, 1), rng.uniform(0.05, 0.65), rng.uniform(0.75, 1.3)
    away = reach * float(nucleus[int(turn * _ANGLES)])
    dx = canvas.x - np.float32(away * np.cos(2 * np.pi * turn))
    dy = canvas.y - np.float32(away * np.sin(2 * np.pi * turn))
    radius = np.float32(traits.nucleolus_radius * scale)
    distance = np.sqrt(dx * dx + dy * dy)
    disc = _soft_step(radius - distance, 0.008)
    ring = _soft_step(np.float32(1.5) * radius - distance, 0.012)
    return np.asarray(np.float32(1.35) * disc - np.float32(0.35) * ring, dtype=np.float32)


def _uncut(traits: CellTraits, canvas: Canvas, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """False where segmentation cut a neighbour off along a straight line."""
    turn, chance, depth = rng.uniform(0, 2 * np.pi), rng.random(), rng.uniform(0.82, 0.98)
    if chance > 0.2:
        depth = 2.0
    along = canvas.x * np.float32(np.cos(turn)) + canvas.y * np.float32(np.sin(turn))
    return np.asarray(along < np.float32(depth * traits.radius))


def _transmit(nuclear: FloatField, plasma: FloatField, optics: Optics) -> FloatField:
    """Beer-Lambert through a table for each of both stains: (w, w, 3) float32 grey values."""
    depth = np.linspace(0, _DENSITY_TOP, _DENSITY_STEPS, dtype=np.float64)[:, None]
    steps = np.float32((_DENSITY_STEPS - 1) / _DENSITY_TOP)

    def table(stain: Rgb) -> FloatField:
        return np.exp(-optics.gamma * depth * np.asarray(stain)).astype(np.float32)

    def index(density: FloatField) -> npt.NDArray[np.int16]:
        return np.clip(density * steps, 0, _DENSITY_STEPS - 1).astype(np.int16)

    nucleus = np.asarray(optics.lamp, dtype=np.float32) * table(optics.nuclear_stain)
    through = nucleus.take(index(nuclear), axis=0)
    through *= table(optics.cytoplasm_stain).take(index(plasma), axis=0)
    return np.asarray(through, dtype=np.float32)


def _value_noise(spacing: float, canvas: Canvas, rng: np.random.Generator) -> FloatField:
    """Smooth noise of about unit variance with one free value every ``spacing``."""
    lattice = rng.standard_normal((_LATTICE, _LATTICE), dtype=np.float32)
    side = canvas.x.shape[0]
    cells = min(WINDOW / spacing, float(_LATTICE))
    box = (0.0, 0.0, cells, cells)
    smooth = Image.fromarray(lattice).resize((side, side), Image.Resampling.BICUBIC, box=box)
    return np.asarray(smooth, dtype=np.float32)


def _gaussian(field: FloatField, sigma: float) -> FloatField:
    """Separable Gaussian blur; ``sigma`` in pixels."""
    reach = int(2.5 * sigma + 0.5)
    if reach == 0:
        return field
    weights = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    weights = (weights / (weights[0] + 2 * weights[1:].sum())).astype(np.float32)
    for _ in range(2):
        padded = np.pad(field, ((reach, reach), (0, 0)), mode="edge")
        n = field.shape[0]
        out = weights[0] * field
        for k in range(1, reach + 1):
            out += weights[k] * (padded[reach - k : reach - k + n] + padded[reach + k :][:n])
        field = np.ascontiguousarray(out.T)
    return field


def _soft_step(value: FloatField, width: float) -> FloatField:
    """0 below -width, 1 above +width, a cubic between."""
    t = np.clip(value * np.float32(0.5 / width) + np.float32(0.5), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def _gather(outline: FloatField, canvas: Canvas) -> FloatField:
    return np.asarray(outline.take(canvas.angle), dtype=np.float32)


def _place(
    window: npt.NDArray[np.uint8], canvas: Canvas, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Puts the window on a black frame, a little off the centre."""
    frame = np.zeros((canvas.size, canvas.size, 3), dtype=np.uint8)
    side = window.shape[0]
    room = (canvas.size - side) / 2
    top, left = (int(room + rng.uniform(-SHIFT, SHIFT) * canvas.size) for _ in range(2))
    frame[top : top + side, left : left + side] = window
    return frame
