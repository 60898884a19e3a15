"""Printing: names of files may hold bytes that are no text."""

import click

__all__ = ["echo", "printable"]


def printable(text: str) -> str:
    r"""Write bytes of a file name that are not UTF-8 as escapes, which every terminal can print.

    >>> printable("caf\udce9.svg")
    'caf\\xe9.svg'
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def echo(text: str, *, err: bool = False) -> None:
    """Print a line to stdout or stderr."""
    click.echo(printable(text), err=err)
