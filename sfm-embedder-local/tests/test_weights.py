from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sfm_core.errors import BackendUnavailableError, CorruptDataError
from sfm_embedder_local._weights import ModelFile

CONTENT = b"weights of a model"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFile:
    package = tmp_path / "weights_for_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')", "utf-8")
    (package / "model.bin").write_bytes(CONTENT)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return ModelFile(
        distribution="weights-for-a-test==1.0",
        package="weights_for_a_test",
        path="model.bin",
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        backend="test",
    )


def test_the_expected_file_is_read_without_importing_its_package(file: ModelFile) -> None:
    assert file.read() == CONTENT


def test_a_changed_file_is_refused(file: ModelFile) -> None:
    file.locate().write_bytes(CONTENT[::-1])

    with pytest.raises(CorruptDataError, match=r"weights-for-a-test==1\.0"):
        file.read()


def test_a_shortened_file_is_noticed_without_reading_it(file: ModelFile) -> None:
    file.locate().write_bytes(CONTENT[:-1])

    with pytest.raises(CorruptDataError):
        file.locate()


def test_a_missing_package_is_named_as_what_to_install(file: ModelFile) -> None:
    with pytest.raises(BackendUnavailableError, match=r"Install the package weights-for-a-test"):
        replace(file, package="no_such_package").locate()


def test_a_package_without_the_file_is_named_as_what_to_install(file: ModelFile) -> None:
    with pytest.raises(BackendUnavailableError, match=r"Install the package weights-for-a-test"):
        replace(file, path="other.bin").locate()
