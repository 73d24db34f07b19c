"""Hold the HTTP API to what its last release has promised.

    python -m tools.check_openapi [--record]

`docs/reference/openapi.json` is the document of the server as it is here; `--record` writes it.
It is compared with that of the newest tag `sfm-server-v*` before it, or where there is none yet,
with the one that is committed. Whatever a client of then would stumble over is told, and the
exit status is then 1, unless the version says that it may be so: a new major version, or below
1.0 a new minor one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from sfm_server.app import create_app
from sfm_server.settings import Settings
from tools.openapi_schemas import Comparison, Schema, Side

ROOT = Path(__file__).resolve().parent.parent
PLACE = Path("docs", "reference", "openapi.json")
TAGS = "sfm-server-v*"
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")


def current() -> Schema:
    """Return the document of the server as it is here."""
    return create_app(Settings(memory_mode="test")).openapi()


def text_of(document: Schema) -> str:
    """Return a document as it is kept in its file."""
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def promised(root: Path = ROOT) -> tuple[str, Schema]:
    """Return what was promised, and where that was found.

    Args:
        root: The checkout.

    Returns:
        The name of the tag, or of the file where there is no release yet; and the document.
    """
    for tag in _git(root, "tag", "--list", TAGS, "--merged", "HEAD", "--sort=-v:refname").split():
        if found := _git(root, "show", f"{tag}:{PLACE.as_posix()}"):
            return tag, cast(Schema, json.loads(found))
    committed = _git(root, "show", f"HEAD:{PLACE.as_posix()}")
    text = committed or (root / PLACE).read_text(encoding="utf-8")
    return str(PLACE), cast(Schema, json.loads(text))


def breaks(before: Schema, after: Schema) -> Iterator[str]:
    """Compare two documents.

    Args:
        before: What was promised.
        after: What is there now.

    Yields:
        A sentence for whatever a client of the first would stumble over.
    """
    for path, item in _operations(before).items():
        others = _operations(after).get(path)
        if others is None:
            yield f"{path}: the path is gone."
            continue
        for method, operation in item.items():
            place = f"{method.upper()} {path}"
            if method in others:
                old = Side(document=before, schema=operation)
                new = Side(document=after, schema=others[method])
                yield from _operation(old, new, place)
            else:
                yield f"{place}: the method is gone."


def may_break(before: str, after: str) -> bool:
    """Tell whether a version may break what another one has promised."""
    old, new = ([int(part) for part in version.split(".")[:2]] for version in (before, after))
    return new[0] > old[0] or (new[0] == 0 and new > old)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Compare, tell, and record the document if asked to.

    Args:
        arguments: The command line.
        root: The checkout.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.check_openapi")
    parser.add_argument("--record", action="store_true", help="write the document")
    record: bool = parser.parse_args(arguments).record
    document = current()
    if record:
        (root / PLACE).write_text(text_of(document), encoding="utf-8")
    name, before = promised(root)
    found = list(breaks(before, document))
    for one in found:
        print(one)
    allowed = may_break(_version(before), _version(document))
    print(f"{len(found)} breaks since {name}{', which the version allows' * allowed}.")
    return 1 if found and not allowed else 0


def _operations(document: Schema) -> Mapping[str, Mapping[str, Schema]]:
    paths = cast(Mapping[str, Mapping[str, Schema]], document.get("paths", {}))
    return {
        path: {method: item[method] for method in METHODS if method in item}
        for path, item in paths.items()
    }


def _operation(before: Side, after: Side, place: str) -> Iterator[str]:
    yield from _parameters(before, after, place)
    yield from _body(before, after, place)
    old, new = before.inner("responses"), after.inner("responses")
    for status, response in old.items():
        where = f"{place} -> {status}"
        if status in new:
            yield from _content(response, new[status], where, answers=True)
            for header in response.inner("headers").keys() - new[status].inner("headers").keys():
                yield f"{where}: the header {header} is gone."
        else:
            yield f"{where}: the response is gone."
    for status in new.keys() - old.keys():
        if status.startswith("2"):
            yield f"{place} -> {status}: success has another status now."


def _parameters(before: Side, after: Side, place: str) -> Iterator[str]:
    old, new = (
        {(one.schema["in"], one.schema["name"]): one for one in side.listed("parameters")}
        for side in (before, after)
    )
    for key, parameter in old.items():
        where = f"{place} {key[0]} {key[1]}"
        if key not in new:
            yield f"{where}: the parameter is gone."
            continue
        yield from _schemas(parameter, new[key], where, answers=False)
    for key, parameter in new.items():
        was_required = key in old and old[key].schema.get("required")
        if parameter.schema.get("required") and not was_required:
            yield f"{place} {key[0]} {key[1]}: the parameter is required now."


def _body(before: Side, after: Side, place: str) -> Iterator[str]:
    old, new = (
        one.of(cast(Schema, one.schema.get("requestBody", {}))).resolved for one in (before, after)
    )
    if new.schema.get("required") and not old.schema.get("required"):
        yield f"{place}: a body is required now."
    yield from _content(old, new, f"{place} body", answers=False)


def _content(before: Side, after: Side, place: str, *, answers: bool) -> Iterator[str]:
    old, new = before.resolved.inner("content"), after.resolved.inner("content")
    for media, content in old.items():
        if media not in new:
            yield f"{place}: the media type {media} is gone."
            continue
        yield from _schemas(content, new[media], place, answers=answers)


def _schemas(before: Side, after: Side, place: str, *, answers: bool) -> Iterator[str]:
    old, new = (one.of(cast(Schema, one.schema.get("schema", {}))) for one in (before, after))
    yield from Comparison(answers=answers).breaks(old, new, place)


def _version(document: Schema) -> str:
    return str(cast(Schema, document["info"])["version"])


def _git(root: Path, *arguments: str) -> str:
    """Return what git prints, and nothing where it fails or there is no repository."""
    ran = subprocess.run(  # noqa: S603 - the arguments are those above
        ["git", *arguments],  # noqa: S607 - whatever git there is
        cwd=root,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return ran.stdout if ran.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
