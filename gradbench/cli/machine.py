"""Commands about this machine: `list` what can be measured, and `doctor`."""

from __future__ import annotations

import json

import click

from gradbench.cli.options import DEVICES, device_option, json_option
from gradbench.errors import RequestError


@click.command("list")
@json_option()
@click.option("--devices", is_flag=True, help="Add the devices of this machine; this starts torch.")
def list_(as_json: bool, devices: bool) -> None:
    """List methods, workloads, sizes, and the devices here."""
    from gradbench.cli.listing import as_data, as_text

    data = as_data(devices)
    click.echo(json.dumps(data, indent=2) if as_json else as_text(data))


@click.command()
@json_option()
@click.option("--quick", is_flag=True, help="Skip the measurement of noise.")
@device_option(DEVICES)
def doctor(as_json: bool, quick: bool, device: str) -> None:
    """Check whether this machine is fit to measure.

    It also shows the noise floor, by how much identical code may differ, and says what would help.
    """
    import msgspec

    from gradbench.cli.doctor.check import verdict
    from gradbench.cli.doctor.machine import examine
    from gradbench.cli.doctor.noise import measure_noise

    if quick and device != "cpu":
        raise RequestError(
            f"--device {device}: --quick measures nothing, so it takes no device; leave out one of the two"
        )
    checks = examine() + ([] if quick else measure_noise(device))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(checks), indent=2))
        return
    click.echo(verdict(checks, quick))
    for each in checks:
        click.echo(f"{each.state:8} {each.name}: {each.found}" + (f"; {each.advice}" if each.advice else ""))
