import stat
import sys
from pathlib import Path

import pytest

from allnet_edge.artifacts import signing
from allnet_edge.errors import IntegrityError, MissingDependencyError, UsageError

MESSAGE = b'{"schema_version": 1}\n'


def test_a_signature_holds_and_names_its_key(signing_key):
    signature = signing.sign(MESSAGE)
    signing.verify(MESSAGE, signature)
    signing.verify(MESSAGE, signature, pinned=signing.public_key(f"{signing_key}.pub"))


def test_the_key_is_made_once_and_for_its_owner_alone(signing_key):
    first = signing.sign(MESSAGE)
    assert stat.S_IMODE(signing_key.stat().st_mode) == 0o600
    assert signing.sign(MESSAGE) == first
    assert sorted(path.name for path in signing_key.parent.iterdir()) == [
        "signing.key",
        "signing.key.pub",
    ]


def test_another_message_or_a_changed_signature_is_refused(signing_key):
    signature = signing.sign(MESSAGE)
    with pytest.raises(IntegrityError, match="does not match"):
        signing.verify(MESSAGE + b" ", signature)
    flipped = signature.model_copy(update={"value": "00" + signature.value[2:]})
    with pytest.raises(IntegrityError, match="does not match"):
        signing.verify(MESSAGE, flipped)
    for value in ("", "zz", "ab"):
        with pytest.raises(IntegrityError):
            signing.verify(MESSAGE, signature.model_copy(update={"value": value}))


def test_a_bundle_signed_again_by_someone_else_fails_the_pin(signing_key, monkeypatch, tmp_path):
    pinned = signing.sign(MESSAGE).public_key
    monkeypatch.setenv("ALLNET_EDGE_KEY", str(tmp_path / "other.key"))
    theirs = signing.sign(MESSAGE)
    signing.verify(MESSAGE, theirs)
    with pytest.raises(IntegrityError, match="not with the pinned one"):
        signing.verify(MESSAGE, theirs, pinned=pinned)


def test_the_signature_is_ed25519_of_the_plain_message(signing_key):
    """Checked with the library itself: anyone can verify a bundle without this package."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    signature = signing.sign(MESSAGE)
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.public_key))
    key.verify(bytes.fromhex(signature.value), MESSAGE)


def test_the_file_comes_back(signing_key, tmp_path):
    signature = signing.sign(MESSAGE)
    (tmp_path / "signature").write_bytes(signature.to_bytes())
    assert signing.read_signature(tmp_path / "signature") == signature


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"algorithm": "none", "public_key": "%s", "value": ""}' % (b"0" * 64)],
)
def test_a_damaged_signature_file_is_refused(content, tmp_path):
    (tmp_path / "signature").write_bytes(content)
    with pytest.raises(IntegrityError):
        signing.read_signature(tmp_path / "signature")


@pytest.mark.parametrize("text", ["", "zz" * 32, "ab" * 31, "/nowhere.pub", "x\0y", "a" * 5000])
def test_what_is_no_public_key_is_refused(text, signing_key):
    with pytest.raises(UsageError, match="public key"):
        signing.public_key(text)


def test_a_damaged_private_key_is_named(signing_key):
    signing_key.parent.mkdir()
    signing_key.write_text("no key")
    with pytest.raises(UsageError) as caught:
        signing.sign(MESSAGE)
    assert caught.value.where == str(signing_key)
    assert signing_key.read_text() == "no key"


def test_without_the_package_the_extra_is_named(signing_key, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(MissingDependencyError, match=r"allnet-edge\[litert\]"):
        signing.sign(MESSAGE)


def test_the_key_lies_in_the_users_config_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("ALLNET_EDGE_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert signing.key_path() == tmp_path / "allnet-edge" / "signing.key"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert signing.key_path() == tmp_path / ".config" / "allnet-edge" / "signing.key"


def test_a_key_folder_that_cannot_be_made_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("ALLNET_EDGE_KEY", str(Path(tmp_path, "file", "key")))
    with pytest.raises(UsageError, match="cannot be written"):
        signing.sign(MESSAGE)
