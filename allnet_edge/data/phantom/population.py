"""Who the phantom cells come from: patients, classes, and how their traits are distributed.

One hidden number, the *maturity* of a cell, moves every trait a little; lymphoblasts lie low,
healthy lymphocytes high, and both spread. No single trait tells the classes apart.
"""

from dataclasses import dataclass

import numpy as np

from allnet_edge.data.phantom.cell import CellTraits, Optics, Rgb

# Six of ten patients have leukemia; the order gives every fold both classes from six patients on.
_CLASS_OF_TEN = ("all", "hem", "all", "hem", "all", "hem", "all", "all", "hem", "all")
AMBIGUOUS = 0.02
"""Share of cells that look like the other class."""


@dataclass(frozen=True, slots=True)
class Patient:
    """One phantom patient: a class, a smear, and how its cells lean.

    Attributes:
        number: Position in the population, from 0.
        label: ``all`` or ``hem``.
        rank: Position among the patients of its class, from 0.
        maturity: Mean shift of this patient's cells.
        size: Factor on the radius of this patient's cells.
        optics: Stain, light and camera of this patient's smear.
    """

    number: int
    label: str
    rank: int
    maturity: float
    size: float
    optics: Optics

    @property
    def name(self) -> str:
        """As in C-NMC file names: ``7`` for leukemia, ``H7`` for healthy."""
        return f"{'H' if self.label == 'hem' else ''}{self.rank + 1}"

    @property
    def fold(self) -> int:
        """0, 1 or 2, in turn within each class."""
        return self.rank % 3


def stream(seed: int, *key: int) -> np.random.Generator:
    """An independent random stream for a patient, or for a patient and an image."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def draw_patient(seed: int, number: int) -> Patient:
    """Patient ``number`` of a population; depends on nothing else."""
    rng = stream(seed, number)
    turn, place = divmod(number, len(_CLASS_OF_TEN))
    label = _CLASS_OF_TEN[place]
    rank = turn * _CLASS_OF_TEN.count(label) + _CLASS_OF_TEN[:place].count(label)
    light = rng.normal(0, 0.08)
    optics = Optics(
        lamp=_jitter(rng, (190.0, 155.0, 140.0), 0.025, light),
        nuclear_stain=_jitter(rng, (1.12, 1.95, 0.66), 0.035),
        cytoplasm_stain=_jitter(rng, (0.85, 0.98, 0.38), 0.06),
        gamma=float(np.exp(rng.normal(0, 0.05))),
        blur=float(rng.uniform(0.004, 0.009)),
        noise=float(rng.uniform(0.8, 2.0)),
    )
    return Patient(
        number=number,
        label=label,
        rank=rank,
        maturity=float(rng.normal(0, 0.10)),
        size=float(np.exp(rng.normal(0, 0.04))),
        optics=optics,
    )


def draw_cell(patient: Patient, rng: np.random.Generator) -> tuple[CellTraits, Optics]:
    """Traits of one cell of a patient, and the optics of its image."""
    mature = (patient.label == "hem") != (rng.random() < AMBIGUOUS)
    m = (1.0 if mature else -1.0) + patient.maturity + rng.normal(0, 0.26)

    def about(mean: float, slope: float, sd: float, low: float, high: float) -> float:
        return float(np.clip(mean + slope * m + rng.normal(0, sd), low, high))

    traits = CellTraits(
        radius=patient.size * about(0.236, -0.0145, 0.023, 0.165, 0.315),
        elongation=about(0.05, -0.004, 0.015, 0.0, 0.10),
        irregularity=about(0.040, -0.012, 0.010, 0.010, 0.08),
        nucleus_ratio=about(0.870, -0.062, 0.024, 0.70, 0.97),
        eccentricity=about(0.75, 0.0, 0.25, 0.0, 1.2),
        cleft=max(0.0, about(0.06, -0.08, 0.08, -1.0, 0.35)),
        density=about(1.0, 0.0, 0.06, 0.75, 1.3),
        clumping=about(0.155, 0.085, 0.022, 0.02, 0.35),
        clump_size=about(0.058, 0.010, 0.005, 0.035, 0.08),
        speckling=about(0.22, -0.10, 0.04, 0.02, 0.45),
        speckle_size=about(0.029, 0.001, 0.002, 0.020, 0.034),
        shading=about(0.07, 0.0, 0.02, 0.0, 0.15),
        nucleoli=min(5, int(rng.poisson(np.exp(-0.1 - 0.9 * m)))),
        nucleolus_radius=about(0.030, -0.002, 0.004, 0.016, 0.045),
        nucleolus_depth=about(0.30, -0.04, 0.05, 0.08, 0.45),
        cytoplasm_density=about(1.15, 0.0, 0.18, 0.6, 1.9),
    )
    return traits, _seen(patient.optics, rng)


def _seen(smear: Optics, rng: np.random.Generator) -> Optics:
    """The smear's optics as one image has them: light and focus vary from field to field."""
    light = rng.normal(0, 0.06)
    return Optics(
        lamp=_jitter(rng, smear.lamp, 0.01, light),
        nuclear_stain=smear.nuclear_stain,
        cytoplasm_stain=smear.cytoplasm_stain,
        gamma=smear.gamma,
        blur=smear.blur * float(rng.uniform(0.7, 1.5)),
        noise=smear.noise * float(rng.uniform(0.7, 1.3)),
    )


def _jitter(rng: np.random.Generator, colour: Rgb, sd: float, common: float = 0.0) -> Rgb:
    """Scales each channel log-normally, and all three by exp(common)."""
    red, green, blue = (float(v * np.exp(common + rng.normal(0, sd))) for v in colour)
    return red, green, blue
