"""Messages of the commands on a terminal, and its width."""

from __future__ import annotations

import shutil

import click


def say(kind: str, message: str) -> None:
    """Say something beside a command's answer, in one line on standard error: a note, or why it stopped."""
    click.echo(f"gradbench: {kind}: {' '.join(message.split())}", err=True)


def columns(least: int, most: int) -> int:
    """Columns of the terminal, within what a text is fit for."""
    return max(least, min(most, shutil.get_terminal_size((110, 24)).columns))
