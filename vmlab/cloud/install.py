# SPDX-License-Identifier: MIT
"""Installation of a target's packages in a cloud image's guest, by the guest's package manager."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.cloud_image import CloudKernel
from vmlab.catalogue.release import is_release
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
"""Directory on the guest's disk, so that its files survive a reboot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """Kernel, root arguments and compiler of a provisioned guest."""

    release: str
    root: str
    """root= and related arguments for the kernel command line."""
    compiler: str
    """First line of its compiler's `--version`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A guest in provisioning, with its recipe and limits."""

    guest: FirstBoot
    target: Target
    cloud: CloudKernel
    recipe: CloudRecipe
    limits: Limits
    serial: str
    """Guest's serial port, to which the package manager's output is copied."""
    progress: Say
    notice: Say

    def ask(self, verb: str, *words: str, what: str) -> str:
        """Run a verb of the recipe's script that changes nothing; returns its output."""
        command = f"sudo -n sh {_PLACE}/guest.sh {shlex.join((verb, *words))}"
        return self.guest.succeed(command, timeout_s=self.limits.command_s, what=what)

    def do(self, verb: str, *words: str, what: str) -> str:
        """Run a verb that changes the guest; raises `AssetError` with the package manager's complaint."""
        self.progress(f"{self.target.id}: {what}")
        command = f"sudo -n sh {_PLACE}/guest.sh run /dev/{self.serial} {shlex.join((verb, *words))}"
        done = self.guest.run(command, timeout_s=self.limits.install_s, what=what)
        if not done.ok:
            raise complaint(self.target.id, what, self.recipe, done)
        return done.stdout


def install(site: Site, *, scripts: Sequence[Path], archive: Path, device: str) -> Installed:
    """Prepare a guest whose cloud-init has ended for sealing; the image's files are written to `device`.

    `archive` is copied over its root file system, `scripts` run in it. Raises `AssetError` when the package manager
    fails, the kernel line is missing, the guest reboots into another kernel, or there is no compiler.
    """
    _bring(site, scripts, archive)
    site.do("refresh", what="reading its package index")
    release = _kernel(site)
    names = (site.cloud.headers.format(release=release), *site.recipe.packages)
    site.do("add", *names, what=f"installing {names[0]}")
    compiler = _compiler(site, release)
    site.do(
        "add_wanted", *(name.format(release=release) for name in site.recipe.wanted), what="adding optional packages"
    )
    root = root_words(site.guest.succeed("cat /proc/cmdline", timeout_s=site.limits.command_s, what="cat cmdline"))
    site.do("settle", f"{_PLACE}/{archive.name}", what="installing the lab's files")
    site.do("take", release, device, what="copying kernel, initrd and compiler out")
    return Installed(release=release, root=root, compiler=compiler.text)


def _bring(site: Site, scripts: Sequence[Path], archive: Path) -> None:
    limit_s = site.limits.command_s
    owner = shlex.quote(site.cloud.image.user)
    site.guest.succeed(f"sudo -n install -d -o {owner} {_PLACE}", timeout_s=limit_s, what="becoming root")
    for file in (*scripts, archive):
        site.guest.put(file, f"{_PLACE}/{file.name}", timeout_s=limit_s)


def _kernel(site: Site) -> str:
    """Install the target's kernel line and reboot into it if it does not run yet; returns its release."""
    running = _running(site)
    package = site.cloud.kernel
    if not package:
        return wanted_release(site.target.line, [running], newest=NEWEST, package=site.cloud.image.id)
    site.do("add_kernel", package, what=f"installing {package}")
    releases = site.ask("releases", package, what=f"listing the kernels of {package}").split()
    _require_releases(site, releases)
    release = wanted_release(site.target.line, releases, newest=NEWEST, package=package)
    if release != running:
        site.progress(f"{site.target.id}: rebooting from {running} into {release}")
        site.guest.reboot(timeout_s=site.limits.first_boot_s, command_s=site.limits.command_s)
        back = _running(site)
        if back != release:
            raise AssetError(
                f"{site.target.id}: the guest rebooted into {back!r}, expected {release!r}",
                hint="its boot loader prefers another kernel: name an image without that kernel, or its line",
            )
    return release


def _running(site: Site) -> str:
    release = site.guest.succeed("uname -r", timeout_s=site.limits.command_s, what="uname -r").strip()
    _require_releases(site, [release])
    return release


def _require_releases(site: Site, releases: Sequence[str]) -> None:
    """Raise `AssetError` for a kernel release that is not one: paths and commands on the host contain it."""
    for release in releases:
        if not is_release(release):
            raise AssetError(
                f"{site.target.id}: the guest answers {release!r}, expected a kernel release such as '6.12.9-amd64'",
                hint="do not use this image; report it to its publisher",
            )


def _compiler(site: Site, release: str) -> Compiler:
    """Install the compiler that built the kernel, as named by the row or the kernel's configuration."""
    config = site.ask("config", release, what="reading the kernel's configuration")
    try:
        built_by = kernel_compiler(config)
    except BuildError as error:
        raise AssetError(f"{site.target.id}: {error.message}", hint=error.hint) from None
    package = site.cloud.compiler or site.recipe.compiler.format(family=built_by.family, major=built_by.major)
    site.do("add", package, what=f"installing {package}")
    names = candidates(built_by, site.target.architecture)
    lines = site.ask("compilers", *names, what="listing its compilers").splitlines()
    found = [parse_compiler(line) for line in lines if line.strip()]
    if not found:
        raise AssetError(
            f"{site.target.id}: {package} contains no compiler named {' or '.join(names)}",
            hint=f"the kernel was built by {built_by.text!r}: correct `compiler` in the target's row",
        )
    order = list(Match)
    best = min(found, key=lambda compiler: order.index(compare(built_by, compiler)))
    if compare(built_by, best) is Match.OTHER_VERSION:
        site.notice(f"{site.target.id}: its kernel was built by {built_by.text!r}, but {package} is {best.text!r}")
    return best


def root_words(command_line: str) -> str:
    """Return the arguments of a kernel command line that select the root file system. Pure."""
    words = [word for word in command_line.split() if word.startswith(("root=", "rootflags=", "rootfstype=", "rd."))]
    if not any(word.startswith("root=") for word in words):
        raise AssetError("the boot loader's kernel command line has no root=", detail=command_line)
    return " ".join(words)


def complaint(name: str, what: str, recipe: CloudRecipe, done: Completed) -> AssetError:
    """Convert a package manager's failure to an `AssetError`, by its output. Pure."""
    known = recipe.meaning_of(f"{done.stdout}\n{done.stderr}")
    detail = output_of(done)
    if known is None:
        message = with_words(f"{name}: {what} ended with status {done.status}", done.stderr, done.stdout)
        return AssetError(message, hint="see its output below", detail=detail)
    meaning, line = known
    return AssetError(
        {
            Meaning.FULL: f"{name}: {what}: the guest's disk is full: {line}",
            Meaning.MISSING: f"{name}: {what}: a package is missing from its archives: {line}",
            Meaning.UNREACHABLE: f"{name}: {what}: its package archives are unreachable: {line}",
        }[meaning],
        hint={
            Meaning.FULL: "the packages of the target's row need a larger disk than the lab provides: report it",
            Meaning.MISSING: "the kernel line was removed or renamed: correct the target's row",
            Meaning.UNREACHABLE: "guests use this host's network: check it, then retry",
        }[meaning],
        detail=detail,
    )
