"""Runs the command line: `python -m sfm_server`."""

from __future__ import annotations

from sfm_server.cli.main import main

if __name__ == "__main__":
    main()
