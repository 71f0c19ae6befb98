"""What a parked run says: what is used up, when it is there again, and the command that goes on."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from wmsforge.errors import ParkedError


def parked(error: ParkedError, context: click.Context) -> ParkedError:
    """Return the error with everything that its reader needs to go on."""
    lines = [str(error)]
    if error.reset_at:
        lines.append(f"Parked until {both_times(error.reset_at)}.")
    lines.append(f"Continue: {command(context, error.options)}")
    return ParkedError("\n".join(lines), error.reset_at, error.options)


def command(context: click.Context, more: Sequence[str] = ()) -> str:
    """Return the command line of this process, with more options behind it."""
    return f"{context.find_root().command_path} {shlex.join([*sys.argv[1:], *more])}"


def both_times(moment: str) -> str:
    """Return a moment, ISO 8601 with zone, as the clock here shows it and in UTC."""
    here = datetime.fromisoformat(moment).astimezone()
    utc = here.astimezone(UTC)
    written = f"{utc:%Y-%m-%d %H:%M} UTC"
    return written if here.utcoffset() == utc.utcoffset() else f"{here:%Y-%m-%d %H:%M %Z} ({written})"
