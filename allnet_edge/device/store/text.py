"""Text before it is stored: a person's is refused where it is unsafe, a program's is cleaned."""

import unicodedata

from allnet_edge.errors import UsageError

_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Zero-width joiners are letters' business in Persian, Hindi and others; they turn no text around.
_JOINERS = "\u200c\u200d"


def _unsafe(character: str) -> bool:
    """Control characters, half a surrogate pair, line ends, and what reverses the direction."""
    return unicodedata.category(character) in _UNSAFE and character not in _JOINERS


def operator_text(text: str, what: str, characters: int) -> str:
    """Text that a person typed, without blanks at its ends.

    Raises:
        UsageError: Longer than ``characters``, or with characters that cannot be shown on a line.
    """
    text = text.strip()
    if len(text) > characters:
        raise UsageError(f"the {what} has {len(text)} characters", fix=f"use at most {characters}")
    unsafe = next((character for character in text if _unsafe(character)), None)
    if unsafe is not None:
        raise UsageError(
            f"the {what} contains the control character U+{ord(unsafe):04X}",
            fix="use one line of letters, digits and signs",
        )
    return text


def program_text(text: str, characters: int) -> str:
    """Text that a file system, a camera or an error gave: shown whole, never refused."""
    clean = "".join(
        character.encode("ascii", "backslashreplace").decode()
        if _unsafe(character) and ord(character) >= 0x80
        else f"\\x{ord(character):02x}"
        if _unsafe(character)
        else character
        for character in text
    )
    return clean if len(clean) <= characters else clean[: characters - 1] + "…"
