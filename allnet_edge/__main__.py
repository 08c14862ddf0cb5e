"""``python -m allnet_edge``: the same as the ``allnet-edge`` command."""

import sys

from allnet_edge.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
