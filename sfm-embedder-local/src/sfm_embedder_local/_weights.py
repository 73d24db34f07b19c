"""Model files of installed wheels, found without importing the wheels and checked before use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sfm_embedder_local import _errors


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file that an installed wheel brings.

    Attributes:
        distribution: Published name and version of the wheel.
        package: Its import package.
        path: Where the file lies in the package.
        size_bytes: Its size.
        sha256: Its digest, in hexadecimal.
        backend: Scheme of the embedder that needs it, for errors.
    """

    distribution: str
    package: str
    path: str
    size_bytes: int
    sha256: str
    backend: str

    def locate(self) -> Path:
        """Find the file, and see that it has the right size.

        Returns:
            Its path.

        Raises:
            BackendUnavailableError: It is not installed.
            CorruptDataError: It has another size.
        """
        spec = find_spec(self.package)
        folders = (spec.submodule_search_locations if spec else None) or ()
        for folder in folders:
            path = Path(folder) / self.path
            if path.is_file():
                if path.stat().st_size != self.size_bytes:
                    raise _errors.changed_weights(
                        str(path), self.distribution, backend=self.backend
                    )
                return path
        raise _errors.missing_weights(self.distribution, backend=self.backend)

    def read(self) -> bytes:
        """Read the file, and see that every byte is the expected one.

        Returns:
            Its content. Use this instead of opening the path again: it is what was checked.

        Raises:
            BackendUnavailableError: It is not installed.
            CorruptDataError: It has another content.
        """
        path = self.locate()
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise _errors.changed_weights(str(path), self.distribution, backend=self.backend)
        return content
