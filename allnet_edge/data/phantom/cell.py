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
FloatRow = npt.NDArray[np.float64]
Rgb = tuple[float, float, float]

LARGEST_RADIUS = 0.37
"""No part of a cell lies farther from its centre."""
SHIFT = 0.04
"""How far a cell's centre may lie off the frame's."""
_ANGLES = 1024
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
        speckling: Amplitude of the pale specks of open chromatin.
        speckle_size: Distance between specks.
        shading: Amplitude of slow changes across the nucleus.
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
    speckling: float
    speckle_size: float
    shading: float
    nucleoli: int
    nucleolus_radius: float
    nucleolus_depth: float
    cytoplasm_density: float


@dataclass(frozen=True, slots=True)
class Canvas:
    """Coordinates of the window, computed once for all cells of one image size.

    Attributes:
        size: Side of the frame in pixels.
        x: Column position, (w, w) float32, 0 at the centre.
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
        """The canvas of square images of ``size`` pixels."""
        side = 2 * int(LARGEST_RADIUS * size) + 2
        axis = ((np.arange(side) - (side - 1) / 2) / size).astype(np.float32)
        y, x = np.meshgrid(axis, axis, indexing="ij")
        turn = np.arctan2(y.astype(np.float64), x.astype(np.float64)) / (2 * np.pi)
        angle = np.floor(turn * _ANGLES + 0.5).astype(np.int64) % _ANGLES
        return cls(size, x, y, np.sqrt(x * x + y * y), angle.astype(np.int16))

    def around(self, radius: float) -> "Canvas":
        """The part of this canvas that holds a cell of this largest radius."""
        margin = max(0, self.x.shape[0] // 2 - int(radius * self.size) - 1)
        part = slice(margin, self.x.shape[0] - margin)
        x, y, radius_of = (f[part, part].copy() for f in (self.x, self.y, self.radius))
        return Canvas(self.size, x, y, radius_of, self.angle[part, part].copy())


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
    canvas = canvas.around(float(cell.max()))
    visible = (_gather(cell, canvas) > canvas.radius) & _uncut(traits, canvas, rng)
    inside = _soft_step(_gather(nucleus, canvas) - canvas.radius, 0.012)
    slow = _value_noise(0.12, canvas, rng)
    nuclear = inside * _chromatin(traits, nucleus, slow, canvas, rng)
    plasma = (1 - inside) * (np.float32(traits.cytoplasm_density) * (1 + np.float32(0.2) * slow))
    sigma = optics.blur * canvas.size
    light = _transmit(_gaussian(nuclear, sigma), _gaussian(plasma, sigma), optics)
    light += np.float32(optics.noise) * rng.standard_normal(light.shape, dtype=np.float32)
    seen = np.clip(light, 1, 255, out=light).astype(np.uint8) * visible[..., None]
    return _framed(seen, canvas.size, rng)


def _outlines(traits: CellTraits, rng: np.random.Generator) -> tuple[FloatField, FloatField]:
    """Radius of the cell and of the nucleus for each of 1024 directions."""
    theta = np.arange(_ANGLES, dtype=np.float64) * (2 * np.pi / _ANGLES)
    order = np.arange(2, 10)
    fall = np.where(order == 2, traits.elongation, 1.6 * traits.irregularity / order)

    def wave(amplitude: FloatRow) -> FloatRow:
        spectrum = np.zeros(_ANGLES // 2 + 1, dtype=np.complex128)
        turn = np.exp(1j * rng.uniform(0, 2 * np.pi, order.size))
        spectrum[order] = amplitude * rng.normal(0, 1, order.size) * turn
        return np.fft.irfft(spectrum, _ANGLES, norm="forward") / 2

    shape = wave(fall)
    cell = traits.radius * (1 + shape)
    nucleus = traits.radius * traits.nucleus_ratio * (1 + shape + wave(0.35 * fall))
    nucleus *= 1 - traits.cleft * _bump(theta, rng.uniform(0, 2 * np.pi), 0.3)
    room = traits.radius * (1 - traits.nucleus_ratio)
    nucleus += traits.eccentricity * room * np.cos(theta - rng.uniform(0, 2 * np.pi))
    cell += traits.radius * _burrs(theta, rng)
    cell = np.minimum(cell, LARGEST_RADIUS)
    return cell.astype(np.float32), np.minimum(nucleus, cell).astype(np.float32)


def _burrs(theta: FloatRow, rng: np.random.Generator) -> FloatRow:
    """What segmentation leaves on the outline: small teeth, spurs of background and nicks."""
    knots = rng.normal(0, rng.uniform(0.002, 0.010), 97)
    teeth = np.interp(theta, np.linspace(0, 2 * np.pi, 97), knots)
    for _ in range(rng.poisson(0.7)):
        height = rng.uniform(0.04, 0.14) * rng.choice((1.0, -0.6))
        teeth += height * _bump(theta, rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.08))
    return np.asarray(teeth)


def _bump(theta: FloatRow, centre: float, width: float) -> FloatRow:
    """1 in the direction ``centre``, falling off over ``width`` radians."""
    return np.asarray(np.exp((np.cos(theta - centre) - 1) / width**2))


def _chromatin(
    traits: CellTraits,
    nucleus: FloatField,
    slow: FloatField,
    canvas: Canvas,
    rng: np.random.Generator,
) -> FloatField:
    """Optical density of the nucleus over the window: clumps, pale speckles, pale nucleoli."""
    clumps = _soft_step(_value_noise(traits.clump_size, canvas, rng), 0.9) - np.float32(0.5)
    speckles = np.maximum(_value_noise(traits.speckle_size, canvas, rng) - np.float32(0.1), 0)
    field = clumps * np.float32(2 * traits.clumping) - speckles * np.float32(traits.speckling)
    field += np.float32(traits.shading) * slow
    if traits.nucleoli:
        pale = [_nucleolus(traits, nucleus, canvas, rng) for _ in range(traits.nucleoli)]
        field -= np.float32(traits.nucleolus_depth) * np.maximum.reduce(pale)
    field /= 1 + np.float32(0.5) * np.abs(field)  # stain saturates, and paleness too
    return np.asarray(np.float32(traits.density) * (1 + field), dtype=np.float32)


def _nucleolus(
    traits: CellTraits, nucleus: FloatField, canvas: Canvas, rng: np.random.Generator
) -> FloatField:
    """A pale oval with soft borders."""
    turn, reach, scale = rng.uniform(0, 1), rng.uniform(0.1, 0.7), rng.uniform(0.75, 1.25)
    away = reach * float(nucleus[int(turn * _ANGLES)])
    dx = canvas.x - np.float32(away * np.cos(2 * np.pi * turn))
    dy = canvas.y - np.float32(away * np.sin(2 * np.pi * turn))
    skew, stretch = np.float32(rng.uniform(-0.5, 0.5)), np.float32(rng.uniform(0.8, 1.25))
    radius = np.float32(traits.nucleolus_radius * scale)
    squared = (dx * dx * stretch + dx * dy * skew + dy * dy / stretch) / (radius * radius)
    return np.asarray(np.maximum(1 - np.float32(0.5) * squared, 0), dtype=np.float32)


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
        through = np.exp(-optics.gamma * depth * np.asarray(stain))
        return np.asarray(through, dtype=np.float32)

    def index(density: FloatField) -> npt.NDArray[np.int16]:
        step = np.clip(density * steps, 0, _DENSITY_STEPS - 1)
        return np.asarray(step, dtype=np.int16)

    nucleus = np.asarray(optics.lamp, dtype=np.float32) * table(optics.nuclear_stain)
    through = nucleus.take(index(nuclear), axis=0)
    through *= table(optics.cytoplasm_stain).take(index(plasma), axis=0)
    return np.asarray(through, dtype=np.float32)


def _value_noise(spacing: float, canvas: Canvas, rng: np.random.Generator) -> FloatField:
    """Smooth noise of about unit variance, one free value every ``spacing``, in a free direction.

    The lattice is turned so that no texture follows the rows and columns of pixels.
    """
    knots = int(2 * LARGEST_RADIUS / spacing) + 4
    lattice = Image.fromarray(rng.standard_normal((knots, knots), dtype=np.float32))
    turn = rng.uniform(0, 2 * np.pi)
    side = canvas.x.shape[0]
    step = 1 / (canvas.size * spacing)
    cos, sin = step * np.cos(turn), step * np.sin(turn)
    half, middle = side / 2, knots / 2
    place = (cos, sin, middle - half * (cos + sin), -sin, cos, middle - half * (cos - sin))
    turned = lattice.transform(
        (side, side), Image.Transform.AFFINE, place, Image.Resampling.BICUBIC
    )
    return np.asarray(turned, dtype=np.float32)


def _gaussian(field: FloatField, sigma: float) -> FloatField:
    """Separable Gaussian blur, cut off at 2.5 sigma; ``sigma`` in pixels."""
    reach = int(2.5 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(reach + 1) / max(sigma, 1e-6)) ** 2)
    weights = (weights / (weights[0] + 2 * weights[1:].sum())).astype(np.float32)
    n = field.shape[0]
    for _ in range(2):  # down the columns, turned over, and down the columns again
        padded = np.concatenate([field[:1]] * reach + [field] + [field[-1:]] * reach)
        out = weights[0] * field
        for k in range(1, reach + 1):
            out += weights[k] * (padded[reach - k :][:n] + padded[reach + k :][:n])
        field = np.ascontiguousarray(out.T)
    return field


def _soft_step(value: FloatField, width: float) -> FloatField:
    """0 below -width, 1 above +width, a cubic between."""
    t = np.clip(value * np.float32(0.5 / width) + np.float32(0.5), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def _gather(outline: FloatField, canvas: Canvas) -> FloatField:
    return np.asarray(outline.take(canvas.angle), dtype=np.float32)


def _framed(
    window: npt.NDArray[np.uint8], size: int, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Puts the window on a black frame, a little off the centre."""
    frame = np.zeros((size, size, 3), dtype=np.uint8)
    side = window.shape[0]
    room = (size - side) / 2
    top, left = (int(room + rng.uniform(-SHIFT, SHIFT) * size) for _ in range(2))
    frame[top : top + side, left : left + side] = window
    return frame
