"""The base of every specification, and how one is read from a file."""

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from allnet_edge.errors import RecipeError, UnknownNameError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Frozen(BaseModel):
    """A value object: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Spec = TypeVar("Spec", bound=Frozen)


def read_toml(path: Path, kind: type[Spec]) -> Spec:
    """Read one specification from a TOML file.

    Raises:
        RecipeError: The file cannot be read, is no TOML, or has an unknown key or a wrong value.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read the file: {error.strerror}", where=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"not valid TOML: {error}", where=path) from error
    return parse(raw, kind, where=path)


def parse(raw: object, kind: type[Spec], *, where: object) -> Spec:
    """Validate plain data as a specification.

    Raises:
        RecipeError: Every offending key, with the nearest known one where the key is unknown.
    """
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        problems = [
            _problem(item["loc"], item["type"], item["msg"], kind) for item in error.errors()
        ]
        raise RecipeError(
            "; ".join(problems), where=where, fix="correct or remove the keys named above"
        ) from error


def _problem(location: tuple[int | str, ...], code: str, message: str, kind: type[Frozen]) -> str:
    key = ".".join(str(part) for part in location)
    if code != "extra_forbidden":
        return f"{key}: {message}"
    known = sorted(_fields_at(kind, location[:-1]))
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    return f"unknown key {key}{hint} (known: {', '.join(known)})"


def _fields_at(kind: type[Frozen], location: tuple[int | str, ...]) -> Iterable[str]:
    """The field names of the nested specification that ``location`` leads to."""
    for part in location:
        field = kind.model_fields.get(str(part))
        inner = field.annotation if field else None
        for one in (inner, *get_args(inner)):  # a tuple of specifications too
            if isinstance(one, type) and issubclass(one, Frozen):
                kind = one
    return kind.model_fields.keys()


def known_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return ``name`` if it is known.

    Raises:
        UnknownNameError: With the nearest match and the whole list.
    """
    names = sorted(known)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UnknownNameError(f"unknown {kind} '{name}'", fix=f"{hint}known: {', '.join(names)}")
