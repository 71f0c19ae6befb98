"""The command line. Commands stand in a table and are imported when one runs: help and completion stay fast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from wmsforge import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "init": ("wmsforge.cli.init:init", "Make a project folder from a bundled recipe."),
    "check": ("wmsforge.cli.check:check", "Say everything that is wrong with a recipe, without running it."),
    "plan": ("wmsforge.cli.plan:plan", "Show what a run would do, why, and what it may cost."),
    "doctor": ("wmsforge.cli.doctor:doctor", "Say whether a recipe can run on this machine."),
    "run": ("wmsforge.cli.run:run", "Run a recipe, or continue where it stopped."),
    "status": ("wmsforge.cli.status:status", "Show what a workspace holds."),
    "peek": ("wmsforge.cli.peek:peek", "Read rows of a step, rejected ones too."),
    "import-index": ("wmsforge.cli.import_index:import_index", "Take over an index that LangChain made."),
    "env": ("wmsforge.cli.env:env", "List, build, check and remove the environments that plugins own."),
    "plugins": ("wmsforge.cli.plugins:plugins", "List installed plugins and what became of them."),
    "components": ("wmsforge.cli.components:components", "List components, or the options of one."),
    "schema": ("wmsforge.cli.schema:schema", "Print the JSON Schema of recipes, for an editor."),
}
"""Name -> ("module:function", one line of help)."""


class LazyGroup(click.Group):
    """A group whose help and completion import no command, and whose errors are messages, not tracebacks."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        import importlib

        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            from wmsforge.errors import did_you_mean

            ctx.fail(f"no command is called {args[0]!r}.{did_you_mean(args[0], list(COMMANDS))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        commands = [CompletionItem(name, help=help) for name, (_, help) in COMMANDS.items()]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [command for command in commands if command.value.startswith(incomplete)] + options

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(130)
        except Exception as error:
            from wmsforge.errors import StepError, WmsforgeError

            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
                error = StepError(
                    f"{error}.\nCheck the path, its permissions and the disk, then run the command again."
                )
            if not isinstance(error, WmsforgeError):
                raise
            if ctx.params["debug"]:
                import traceback

                traceback.print_exc()
            else:
                from wmsforge.cli.terminal import clean

                click.echo(clean(str(error)), err=True)
            ctx.exit(error.exit_code)


COMPLETION = """\b
Completion of commands, recipes and steps; put the line into your shell's start-up file:
  bash  eval "$(_WMSFORGE_COMPLETE=bash_source wmsforge)"
  zsh   eval "$(_WMSFORGE_COMPLETE=zsh_source wmsforge)"
  fish  _WMSFORGE_COMPLETE=fish_source wmsforge | source
"""


@click.group(cls=LazyGroup, epilog=COMPLETION, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--no-plugin", multiple=True, metavar="NAME", help="Leave a plugin alone; may be given several times.")
@click.pass_context
def main(ctx: click.Context, debug: bool, no_plugin: Sequence[str]) -> None:
    """Turn a folder of a trade's documents into a model that answers like that trade's expert."""
    ctx.obj = {"debug": debug, "no_plugin": no_plugin}
