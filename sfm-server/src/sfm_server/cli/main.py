"""The entry point: finds the command, runs it, and tells errors in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

import click
import msgspec

from sfm_core.errors import SfmError
from sfm_server.cli.exits import Exit, exit_of

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "serve": "serve:serve",
        "consumer": "consumer:consumer",
        "store": "memories:store",
        "recall": "memories:recall",
        "get": "memories:get",
        "history": "memories:history",
        "delete": "memories:delete",
        "delete-many": "deleting:delete_many",
        "forget": "forget:forget",
        "range": "memories:find_range",
        "link": "links:link",
        "unlink": "links:unlink",
        "neighbors": "links:neighbors",
        "path": "links:path",
        "store-bulk": "transfer:store_bulk",
        "import": "transfer:import_file",
        "export": "transfer:export",
        "stats": "upkeep:stats",
        "rebuild": "upkeep:rebuild",
        "check": "upkeep:check",
        "collections": "collections:collections",
        "events tail": "events:tail",
        "events replay": "events:replay",
        "events dlq list": "letters:list_letters",
        "events dlq retry": "letters:retry",
        "events dlq drop": "letters:drop",
        "migrate": "migration:migrate",
        "truths": "migration:truths",
        "tokens new": "tokens:new",
        "tokens list": "tokens:list_tokens",
        "tokens revoke": "tokens:revoke",
        "keys new": "keys:new",
        "keys list": "keys:list_keys",
        "keys rotate": "rekeying:rotate",
        "keys destroy": "rekeying:destroy",
        "plugins": "plugins:plugins",
        "modes": "modes:modes",
        "config": "config:config",
        "doctor": "doctor:doctor",
        "probe": "probe:probe",
    }
)
"""Module and function of each command; only the chosen one is imported."""

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "events": "Look at events, and look after those that are published.",
        "events dlq": "Look after dead letters: events that a consumer could not take in.",
        "keys": "Look after the keys that the truth is encrypted with.",
        "tokens": "Look after the tokens of SFM_TOKENS_FILE.",
    }
)
"""What each group of commands is for."""


class LazyGroup(click.Group):
    """A group of commands that imports a command when it is needed.

    Attributes:
        path: What the names of its commands begin with; "" for all commands.
    """

    path = ""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands and groups in it."""
        del ctx
        inside = (name.removeprefix(self.path) for name in COMMANDS if name.startswith(self.path))
        return list(dict.fromkeys(name.partition(" ")[0] for name in inside))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command or group, or `None` if there is none of that name."""
        del ctx
        name = self.path + cmd_name
        if name in GROUPS:
            group = LazyGroup(name=cmd_name, help=GROUPS[name])
            group.path = f"{name} "
            return group
        if name not in COMMANDS:
            return None
        module, _, function = COMMANDS[name].partition(":")
        command = getattr(import_module(f"sfm_server.cli.{module}"), function)
        return command if isinstance(command, click.Command) else None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="somafractalmemory-server", prog_name="sfm")
def sfm() -> None:
    """An agent's memory: store, recall, link, and look after it.

    Commands work on the data folder of the settings, on that of --data, or on
    the server of --url.
    """


def run(arguments: Sequence[str]) -> int:
    """Run a command.

    Args:
        arguments: The command line, without the name of the program.

    Returns:
        The exit status; see `sfm_server.cli.exits`.
    """
    try:
        result: object = sfm.main(list(arguments), prog_name="sfm", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return Exit.INVALID
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except SfmError as error:
        _tell(error, as_json="--json" in arguments)
        return exit_of(error)
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stdout = None
        return Exit.OK
    except OSError as error:
        click.echo(f"sfm: {error}", err=True)
        return Exit.FAILED
    return result if isinstance(result, int) else Exit.OK


def main() -> None:
    """Run the command of this process's command line, and exit."""
    # Searches are many and small: threads of the linear algebra library that wait for each
    # other cost more than they save. It reads this once, when NumPy is imported.
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    # What is remembered is the business of this user only, and so are the files that it is in.
    os.umask(0o077)
    sys.exit(int(run(sys.argv[1:])))


def _tell(error: SfmError, *, as_json: bool) -> None:
    if as_json:
        problem = {"code": error.code, "message": error.message, "remedy": error.remedy}
        click.echo(msgspec.json.encode({"error": problem}).decode(), err=True)
        return
    click.echo(f"sfm: {' '.join(str(error).split())}", err=True)
