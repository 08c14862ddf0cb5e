"""Everything that the OpenAPI document of `serve` allows, and much that it does not: no answer 5xx.

Starts the server with a bundle and a folder of fields as a camera, opens a slide so that there are
cells to ask for, and lets schemathesis ask. The stream of live events has no end and is left out.

    python benchmarks/serve_schemathesis.py BUNDLE FIELDS [--cases 200]
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from serve_load import Running, machine

from allnet_edge.artifacts.files import write_json

RESULT = Path(__file__).parent / "results" / "serve_schemathesis.json"
STREAM = "/api/v1/live/events"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("fields", type=Path)
    parser.add_argument("--cases", type=int, default=200, help="of each operation and phase")
    given = parser.parse_args()
    server = Running(given.bundle, "--source", given.fields, "--repeat", "--rate", 5)
    try:
        server.wait()
        server.post("/api/v1/slides")
        time.sleep(3)
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:  # it leaves its notes where it runs
            done = subprocess.run(
                [
                    Path(sys.executable).with_name("schemathesis"), "run",
                    f"{server.url}/api/v1/openapi.json", "--exclude-path", STREAM,
                    "--checks", "not_a_server_error", "-n", str(given.cases), "--seed", "1",
                ],
                check=False, capture_output=True, text=True, cwd=folder,
            )  # fmt: skip
        seconds = time.perf_counter() - began
        alive = server.get("/api/v1/status") is not None
    finally:
        server.end()
    cases = re.search(r"([\d,]+) generated", done.stdout)
    operations = re.search(r"Selected: ([\d/]+)", done.stdout)
    found = {
        "what": "schemathesis on the OpenAPI document of `allnet-edge serve`: is any answer 5xx?",
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "schemathesis": version("schemathesis"),
        "operations": operations[1] if operations else None,
        "cases": int(cases[1].replace(",", "")) if cases else None,
        "server_errors": len(re.findall(r"Server error", done.stdout)),
        "exit_code": done.returncode,
        "server_alive_after": alive,
        "seconds": round(seconds, 1),
    }
    write_json(RESULT, found)
    print(found)
    if done.returncode:
        print(done.stdout[-4000:])
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
