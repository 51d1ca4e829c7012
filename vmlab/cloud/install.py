# SPDX-License-Identifier: MIT
"""What is installed in a cloud image's guest, by its own package manager, and in which order."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.cloud_image import CloudKernel
from vmlab.catalogue.target import NEWEST, Target
from vmlab.cloud.first_boot import FirstBoot
from vmlab.cloud.recipe import CloudRecipe, Meaning, wanted_release
from vmlab.context import Say
from vmlab.errors import AssetError, BuildError
from vmlab.guest.transport import Completed, output_of
from vmlab.host.limits import Limits
from vmlab.module.compiler import Compiler, Match, candidates, compare, kernel_compiler, parse_compiler
from vmlab.reason.command import with_words

_PLACE = "/var/tmp/vmlab"
"""On the disk, so that it is there after a reboot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What a guest came to have."""

    release: str
    root: str
    """What its kernel is to be told of where the root file system is."""
    compiler: str
    """The first line of its compiler's `--version`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A guest and how it is to be treated."""

    guest: FirstBoot
    target: Target
    cloud: CloudKernel
    recipe: CloudRecipe
    limits: Limits
    serial: str
    """Its serial port, which a package manager's output goes to as well."""
    progress: Say
    notice: Say

    def ask(self, verb: str, *words: str, what: str) -> str:
        """Have a verb of the recipe's script done that only looks."""
        command = f"sudo -n sh {_PLACE}/guest.sh {shlex.join((verb, *words))}"
        return self.guest.succeed(command, timeout_s=self.limits.command_s, what=what)

    def do(self, verb: str, *words: str, what: str) -> str:
        """Have a verb done that changes the guest; `AssetError` with what its package manager complained of."""
        self.progress(f"{self.target.id}: {what}")
        command = f"sudo -n sh {_PLACE}/guest.sh run /dev/{self.serial} {shlex.join((verb, *words))}"
        done = self.guest.run(command, timeout_s=self.limits.install_s, what=what)
        if not done.ok:
            raise complaint(self.target.id, what, self.recipe, done)
        return done.stdout


def install(site: Site, *, scripts: Sequence[Path], archive: Path, device: str) -> Installed:
    """Take a guest whose cloud-init has ended to where it can be sealed; `device` gets what the image's files are.

    `archive` is copied over its root file system, `scripts` is what runs in it. Raises `AssetError` when the package
    manager cannot, the kernel line is gone, the guest comes back with another kernel, or there is no compiler.
    """
    _bring(site, scripts, archive)
    site.do("refresh", what="asking its package archives")
    release = _kernel(site)
    names = (site.cloud.headers.format(release=release), *site.recipe.packages)
    site.do("add", *names, what=f"installing {names[0]}")
    compiler = _compiler(site, release)
    site.do(
        "add_wanted", *(name.format(release=release) for name in site.recipe.wanted), what="installing what is optional"
    )
    root = root_words(site.guest.succeed("cat /proc/cmdline", timeout_s=site.limits.command_s, what="a look"))
    site.do("settle", f"{_PLACE}/{archive.name}", what="making it the lab's")
    site.do("take", release, device, what="taking kernel, initrd and compiler out")
    return Installed(release=release, root=root, compiler=compiler.text)


def _bring(site: Site, scripts: Sequence[Path], archive: Path) -> None:
    limit_s = site.limits.command_s
    owner = shlex.quote(site.cloud.image.user)
    site.guest.succeed(f"sudo -n install -d -o {owner} {_PLACE}", timeout_s=limit_s, what="becoming root")
    for file in (*scripts, archive):
        site.guest.put(file, f"{_PLACE}/{file.name}", timeout_s=limit_s)


def _kernel(site: Site) -> str:
    """Install the target's kernel line and reboot into it where it does not run yet; returns its release."""
    running = _running(site)
    package = site.cloud.kernel
    if not package:
        return wanted_release(site.target.line, [running], newest=NEWEST, package=site.cloud.image.id)
    site.do("add_kernel", package, what=f"installing {package}")
    releases = site.ask("releases", package, what=f"asking which kernel {package} brings").split()
    release = wanted_release(site.target.line, releases, newest=NEWEST, package=package)
    if release != running:
        site.progress(f"{site.target.id}: rebooting from {running} into {release}")
        site.guest.reboot(timeout_s=site.limits.first_boot_s, command_s=site.limits.command_s)
        back = _running(site)
        if back != release:
            raise AssetError(
                f"{site.target.id}: asked for {release}, and the guest came back with {back}",
                hint="its boot loader prefers another of its kernels: name an image without that one, or its line",
            )
    return release


def _running(site: Site) -> str:
    return site.guest.succeed("uname -r", timeout_s=site.limits.command_s, what="uname -r").strip()


def _compiler(site: Site, release: str) -> Compiler:
    """Install the compiler that built the kernel, as the row or the kernel's configuration names it."""
    config = site.ask("config", release, what="reading the kernel's configuration")
    try:
        built_by = kernel_compiler(config)
    except BuildError as error:
        raise AssetError(f"{site.target.id}: {error.message}", hint=error.hint) from None
    package = site.cloud.compiler or site.recipe.compiler.format(family=built_by.family, major=built_by.major)
    site.do("add", package, what=f"installing {package}")
    names = candidates(built_by, site.target.architecture)
    lines = site.ask("compilers", *names, what="asking for its compilers").splitlines()
    found = [parse_compiler(line) for line in lines if line.strip()]
    if not found:
        raise AssetError(
            f"{site.target.id}: {package} brings no compiler called {' or '.join(names)}",
            hint=f"the kernel was built by {built_by.text!r}: correct `compiler` of the target's row",
        )
    order = list(Match)
    best = min(found, key=lambda compiler: order.index(compare(built_by, compiler)))
    if compare(built_by, best) is Match.OTHER_VERSION:
        site.notice(f"{site.target.id}: its kernel was built by {built_by.text!r}, and {package} is {best.text!r}")
    return best


def root_words(command_line: str) -> str:
    """Of what a boot loader told the kernel, what says where the root file system is. Pure."""
    words = [word for word in command_line.split() if word.startswith(("root=", "rootflags=", "rootfstype=", "rd."))]
    if not any(word.startswith("root=") for word in words):
        raise AssetError("the boot loader told the kernel no root=", detail=command_line)
    return " ".join(words)


def complaint(name: str, what: str, recipe: CloudRecipe, done: Completed) -> AssetError:
    """What it means that a package manager failed, by its own words. Pure."""
    known = recipe.meaning_of(f"{done.stdout}\n{done.stderr}")
    detail = output_of(done)
    if known is None:
        message = with_words(f"{name}: {what} ended with status {done.status}", done.stderr, done.stdout)
        return AssetError(message, hint="its output is below", detail=detail)
    meaning, line = known
    return AssetError(
        {
            Meaning.FULL: f"{name}: {what}: the guest's disk is full: {line}",
            Meaning.MISSING: f"{name}: {what}: its archives have no such package: {line}",
            Meaning.UNREACHABLE: f"{name}: {what}: its package archives cannot be reached: {line}",
        }[meaning],
        hint={
            Meaning.FULL: "the packages of the target's row need more than the lab gives: report it",
            Meaning.MISSING: "the kernel line is gone, or goes by another name now: correct the target's row",
            Meaning.UNREACHABLE: "guests use this host's network: check it, then try again",
        }[meaning],
        detail=detail,
    )
