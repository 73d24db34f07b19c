"""Import everything that some installed packages hold, and load their entry points.

    python -I tools/probe_wheel.py PACKAGE ... --absent PACKAGE ...

Runs in a fresh environment, so it uses the standard library only. Exits with 1 and a line for
each fault.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Iterator

# What needs an extra, and a package that the extra brings.
OF_EXTRAS = {
    "sfm_core.testing": "pytest",
    "sfm_backend_qdrant.edge": "qdrant_edge",
    "sfm_server.encryption": "cryptography",
}


def modules(package: str) -> Iterator[str]:
    """Name a package and all modules below it, without those whose extra is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return
    yield package
    for found in pkgutil.iter_modules(spec.submodule_search_locations or [], f"{package}."):
        needed = OF_EXTRAS.get(found.name)
        if needed is not None and importlib.util.find_spec(needed) is None:
            continue
        if found.ispkg:
            yield from modules(found.name)
        else:
            yield found.name


def import_faults(package: str) -> Iterator[str]:
    """Say which modules of a package do not import."""
    if importlib.util.find_spec(package) is None:
        yield f"{package} is not installed"
    for module in modules(package):
        try:
            importlib.import_module(module)
        # Whatever a module does wrong on import is what is looked for.
        except Exception:  # noqa: BLE001 - reported below
            yield f"{module} does not import:\n{traceback.format_exc()}"


def entry_point_faults(package: str) -> Iterator[str]:
    """Say which entry points of a package's distribution do not load."""
    for name in importlib.metadata.packages_distributions().get(package, []):
        for point in importlib.metadata.distribution(name).entry_points:
            try:
                point.load()
            # As above.
            except Exception:  # noqa: BLE001 - reported below
                yield f"entry point {point.name} does not load:\n{traceback.format_exc()}"


def main() -> int:
    """Probe the packages named on the command line.

    Returns:
        The exit status: 0 without faults, 1 otherwise.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--absent", nargs="*", default=[])
    options = parser.parse_args()
    present = [name for name in options.absent if importlib.util.find_spec(name)]
    faults = [f"{name} came along, and should not" for name in present]
    for package in options.packages:
        faults += [*import_faults(package), *entry_point_faults(package)]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
