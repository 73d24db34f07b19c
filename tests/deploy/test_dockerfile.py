"""The Dockerfile follows the rules of its trade; `tests/image` performs its steps."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
FINAL = TEXT[TEXT.rindex("\nFROM ") :]


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    found = subprocess.run(
        [program, ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (0, "")


def test_it_runs_as_somebody_who_is_not_root() -> None:
    assert re.search(r"^USER 10001$", FINAL, re.MULTILINE)


def test_the_final_stage_builds_and_downloads_nothing() -> None:
    steps = re.findall(r"^RUN (.*)", FINAL, re.MULTILINE)
    assert len(steps) == 1
    assert steps[0].startswith("useradd ")


def test_the_certificates_of_the_system_are_found_by_what_brings_its_own_openssl() -> None:
    # Where the official images of Python, which are Debian's, have them.
    assert re.search(r"^ARG PYTHON=python:\S+-slim-\w+$", TEXT, re.MULTILINE)
    assert re.search(r"^    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt ", FINAL, re.MULTILINE)


def test_every_distribution_is_in_it() -> None:
    copied = set(re.findall(r"^COPY (sfm-\S+) ", TEXT, re.MULTILINE))
    assert copied == {path.parent.name for path in ROOT.glob("sfm-*/pyproject.toml")}


def test_it_has_the_labels_of_an_image_and_a_health_check() -> None:
    for label in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in FINAL
    assert 'CMD ["sfm", "probe"]' in FINAL
