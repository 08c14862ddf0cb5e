"""Say what this machine can train, convert, compile and run, and what is missing."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app

if TYPE_CHECKING:
    from allnet_edge.device.abilities import Finding

app = verb_app()


@app.command()
def doctor(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Say what this machine can train, convert, compile and run, and what is missing.

    Exit code 0 whatever is found: a device need not be able to train.
    """
    from allnet_edge import __version__
    from allnet_edge.device.abilities import examine
    from allnet_edge.measure.system import describe

    machine = describe().model_dump(mode="json", exclude={"packages"})
    findings = examine()
    payload = {
        "allnet_edge": __version__,
        "machine": machine,
        "abilities": [finding.to_json() for finding in findings],
    }
    facts = ", ".join(f"{key} {value}" for key, value in machine.items() if value is not None)
    human = Group(f"allnet-edge {__version__} on {facts}", _table(findings))
    Console(as_json=as_json, quiet=quiet).result(payload, human)


def _table(findings: "Iterable[Finding]") -> Table:
    table = Table("this machine can", "", "versions", "missing", "what to do")
    for one in findings:
        versions = ", ".join(f"{name} {version or '?'}" for name, version in one.versions.items())
        table.add_row(
            one.ability, "yes" if one.can else "no", versions, ", ".join(one.missing), one.fix
        )
    return table
