"""Ed25519 signatures (RFC 8032) over the bytes of a bundle's manifest.json.

The manifest holds the hash of every other file, so the signature covers the whole bundle. With no
key pinned it proves only that nothing changed since someone signed; a pinned public key proves
that its owner did.
"""

import contextlib
import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from allnet_edge.artifacts import files
from allnet_edge.artifacts.manifest import Sha256
from allnet_edge.errors import IntegrityError, MissingDependencyError, RecipeError, UsageError
from allnet_edge.spec.base import Frozen, parse

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_VARIABLE = "ALLNET_EDGE_KEY"
_PUBLIC_KEY_DIGITS = 64


class Signature(Frozen):
    """The file ``signature``: raw bytes as lower-case hex."""

    algorithm: Literal["ed25519"] = "ed25519"
    public_key: Sha256  # 32 bytes, like a hash
    value: str

    def to_bytes(self) -> bytes:
        """The file's bytes."""
        return files.canonical_json(self.model_dump())


def sign(message: bytes) -> Signature:
    """Sign with the user's key, which is made at its first use.

    Raises:
        MissingDependencyError: The cryptography package is not installed.
        UsageError: The key's file cannot be used.
    """
    key = _private_key(key_path())
    return Signature(
        public_key=key.public_key().public_bytes_raw().hex(), value=key.sign(message).hex()
    )


def read_signature(path: Path) -> Signature:
    """Read the file ``signature``.

    Raises:
        IntegrityError: It is damaged.
    """
    try:
        return parse(files.read_json(path), Signature, where=path)
    except RecipeError as error:
        raise IntegrityError(f"the signature is damaged: {error.what}", where=path) from error


def verify(message: bytes, signature: Signature, *, pinned: str | None = None) -> None:
    """Check a signature, and whose it is where a key is pinned.

    Args:
        message: The bytes of manifest.json.
        signature: What the bundle's signature file holds.
        pinned: The public key that must have signed, 64 hex digits.

    Raises:
        IntegrityError: The signature does not match, or another key made it.
        MissingDependencyError: The cryptography package is not installed.
    """
    if pinned is not None and signature.public_key != pinned:
        raise IntegrityError(
            f"signed with the key {signature.public_key}, not with the pinned one",
            fix="get the bundle, or the public key, again from the person who signs",
        )
    ed25519, invalid = _ed25519()
    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.public_key))
        key.verify(bytes.fromhex(signature.value), message)
    except (invalid, ValueError) as error:
        raise IntegrityError(
            "the signature does not match manifest.json",
            fix="the manifest was changed after it was signed: get the bundle again",
        ) from error


def public_key(text: str) -> str:
    """A public key as 64 hex digits, given so or as a file that holds them.

    Raises:
        UsageError: Neither.
    """
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if Path(text).is_file():
            text = Path(text).read_text(encoding="utf-8")
    digits = text.strip().lower()
    if len(digits) != _PUBLIC_KEY_DIGITS or set(digits) - set("0123456789abcdef"):
        raise UsageError(
            "the public key is neither 64 hex digits nor a file that holds them",
            fix=f"it is the line 'public_key' in the bundle's signature, and in {key_path()}.pub",
        )
    return digits


def key_path() -> Path:
    """Where the user's private key lies: ALLNET_EDGE_KEY, else in the user's config folder.

    Raises:
        UsageError: There is no home folder to put it into.
    """
    if override := os.environ.get(KEY_VARIABLE):
        return Path(override)
    if config := os.environ.get("XDG_CONFIG_HOME"):
        return Path(config) / "allnet-edge" / "signing.key"
    try:
        return Path.home() / ".config" / "allnet-edge" / "signing.key"
    except RuntimeError as error:
        raise UsageError(
            "no home folder for the signing key", fix=f"set {KEY_VARIABLE} to a file's path"
        ) from error


def _private_key(path: Path) -> "Ed25519PrivateKey":
    ed25519, _ = _ed25519()
    if not path.exists():
        _create_key(path, ed25519.Ed25519PrivateKey.generate())
    try:
        seed = bytes.fromhex(path.read_text(encoding="ascii").strip())
        key: Ed25519PrivateKey = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    except (OSError, ValueError) as error:
        raise UsageError(
            "the signing key cannot be read",
            where=path,
            fix=f"restore it, or remove it so that a new one is made, or set {KEY_VARIABLE}",
        ) from error
    return key


def _create_key(path: Path, key: "Ed25519PrivateKey") -> None:
    """Write a new key readable by its owner alone; the first of two processes wins."""
    temporary = files.temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(key.private_bytes_raw().hex() + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
            public = key.public_key().public_bytes_raw().hex()
            files.write_text(path.with_name(path.name + ".pub"), public + "\n")
    except OSError as error:
        raise UsageError(
            f"the signing key cannot be written: {error.strerror}",
            where=path,
            fix=f"set {KEY_VARIABLE} to a file in a folder that can be written",
        ) from error
    finally:
        with contextlib.suppress(OSError):  # there may be no folder to have it in
            temporary.unlink()


def _ed25519() -> tuple[ModuleType, type[Exception]]:
    """The optional package and its exception, loaded when something is to be signed or checked."""
    try:
        invalid: type[Exception] = importlib.import_module(
            "cryptography.exceptions"
        ).InvalidSignature
        module = "cryptography.hazmat.primitives.asymmetric.ed25519"
        return importlib.import_module(module), invalid
    except ImportError as error:
        raise MissingDependencyError(
            f"signatures need the package cryptography: {error}",
            fix="pip install 'allnet-edge[litert]' or 'allnet-edge[onnx]'",
        ) from error
