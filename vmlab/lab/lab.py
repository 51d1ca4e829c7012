# SPDX-License-Identifier: MIT
"""Target, image, machine, guest, module: the only place that wires the layers together."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vmlab.catalogue.matrix import Matrix, load_matrix
from vmlab.catalogue.target import Architecture, Boot, Target
from vmlab.cloud.provision import obtain_provisioned
from vmlab.errors import AssetError, BuildError, GuestError, HostError, MachineLost, hides_frames
from vmlab.guest.connect import await_booted, reach, root_opener
from vmlab.guest.guest import Guest
from vmlab.guest.hang import HangProbe
from vmlab.guest.kfence import start_kfence
from vmlab.guest.transport import Transport
from vmlab.host.accelerator import ONLY_TCG_COUNTS, Accelerator, Verdict, qemu_version
from vmlab.host.limits import Limits, limits_for
from vmlab.host.nested import known_words
from vmlab.image.debug_symbols import obtain_vmlinux
from vmlab.image.from_packages import obtain_image
from vmlab.image.image import Image
from vmlab.image.kernel_config import has_option, require_kfence
from vmlab.image.sealed import cached_image
from vmlab.klog.rules import Rules, known_rules, known_splats_file, load_rules
from vmlab.klog.splat import find_splats
from vmlab.lab.facts import TargetFacts, emulated, with_boot, with_build
from vmlab.machine.accelerators import Accelerators
from vmlab.machine.argv import NMI_PANIC, PAGE_OWNER, MachineSpec, machine_spec, proof_argv
from vmlab.machine.machine import Machine
from vmlab.machine.snapshot import Origin
from vmlab.module.build import Built, build_module, compile_program
from vmlab.module.build_root import GuestPlace, HostPlace, Place, require_host_place
from vmlab.module.source import Source, none_named, read_source
from vmlab.provenance import Provenance
from vmlab.settings import BuildPlace, Settings
from vmlab.store.store import Store, digest_of
from vmlab.system.naming import told_of
from vmlab.system.once import Once
from vmlab.timing.document import host_words
from vmlab.timing.series import TimingSource

__tracebackhide__ = hides_frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A guest that answers, and the machine it runs in."""

    target: Target
    guest: Guest
    machine: Machine
    start_s: float
    """From the start of QEMU to the first answer over SSH."""
    open_shell: Callable[[str], int]
    """Hands the terminal to the guest, or runs one command in it; returns the exit status."""
    is_fork: bool = False


class Lab:
    """Everything a run shares: settings, store, and what it has learned about each target so far.

    Cheap to make; images, boots and builds happen when asked for. `progress` hears what is being done,
    `notice` what the user should know at the end.
    """

    room_timeout_s = 300.0
    """How long a guest waits for others to give their memory back."""

    def __init__(
        self,
        settings: Settings,
        *,
        progress: Callable[[str], None] = lambda _: None,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self.store = Store(settings.store, budget_gib=settings.store_gib, shared=settings.shared_store)
        self._held = contextlib.ExitStack()
        self.progress = progress
        self.notice = notice
        self.facts: dict[str, TargetFacts] = {}
        self.accelerators = Accelerators(settings, self.store, on_loss=self._learn_loss)
        self._images = Once[Image](AssetError, HostError)
        self._built = Once[Built](BuildError)
        self._boot_numbers = itertools.count(1)

    @cached_property
    def matrix(self) -> Matrix:
        return load_matrix(own=self.settings.catalogue)

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """The targets that the settings choose."""
        return self.matrix.select(self.settings.target)

    @cached_property
    def source(self) -> Source:
        """The module's sources; `UsageError` when there are none, or nobody said where."""
        if self.settings.origin["module"] == "default" and not self.settings.module.is_dir():
            raise none_named(self.settings.module)
        return read_source(self.settings.module)

    @cached_property
    def rules(self) -> Rules:
        """What in a kernel log means trouble: vmlab's own rules, and before them the user's."""
        own = self.settings.known_splats
        return load_rules(own, known_splats_file()) if own is not None else known_rules()

    def qemu_version(self, architecture: Architecture) -> str:
        """The version of the QEMU that runs an architecture's guests; `HostError` when there is none."""
        return qemu_version(architecture)

    def image(self, target: Target) -> Image:
        """The target's image; built if it is not in the store (minutes, network).

        Raises `AssetError` or `HostError` when it cannot be made, each time it is asked for; it is tried once.
        """
        known = self._images.there_already(target.id)
        if known is not None:
            return known
        version = self.qemu_version(target.architecture)  # without QEMU there is no point in building anything
        started = time.monotonic()
        image = self._images.obtain(target.id, lambda: self._obtain_image(target.stock))
        # For as long as this lab lives: another run that needs room may not take it away.
        self._held.enter_context(self.store.hold(image.disk.parent))
        self._learn_image(target, image, version, time.monotonic() - started)
        return image

    def _obtain_image(self, target: Target) -> Image:
        if target.cloud is not None:
            return obtain_provisioned(self, target, target.cloud)
        return obtain_image(target, self.store, self.settings, progress=self.progress, notice=self.notice)

    def vmlinux(self, target: Target) -> Path:
        """The debug symbols of the target's kernel, for drgn; fetched when they are not in the store (minutes)."""
        return obtain_vmlinux(target.stock, self.image(target), self.store, self.settings, progress=self.progress)

    def any_cached_image(self, architecture: Architecture) -> Image | None:
        """Some image that is in the store already, to prove KVM with; None when there is none."""
        for target in self.matrix.targets:
            image = cached_image(target, self.store) if target.architecture is architecture else None
            if image is not None:
                return image
        return None

    def verdict(self, image: Image) -> Verdict:
        """KVM or TCG for this image's kernel and the CPU model, proved here; remembered until the host boots again."""
        settings = self.settings
        spec = machine_spec(image, Accelerator.KVM, cpus=settings.cpus, memory_mib=settings.memory_mib)
        return self.accelerators.choose(
            image.architecture,
            qemu_version=self.qemu_version(image.architecture),
            kvm_argv=lambda cpu_model, console: proof_argv(spec, cpu_model=cpu_model, console=console),
        )

    def accelerator(self, target: Target) -> Verdict:
        """What runs a target's guests: the host's best, or TCG for a guest whose instructions are counted."""
        if target.boot is Boot.ICOUNT:
            return Verdict(accelerator=Accelerator.TCG, reason=ONLY_TCG_COUNTS)
        return self.verdict(self.image(target))

    def limits(self, target: Target) -> Limits:
        return limits_for(self.accelerator(target).accelerator, patience=self.settings.patience)

    @contextlib.contextmanager
    def boot(self, target: Target) -> Iterator[Running]:
        """A freshly booted guest for the length of a `with` block. Costs a boot.

        A boot that is lost before the guest ever answered is tried once more, and said: nothing of the module was
        in it. So is one whose QEMU is refused KVM, by emulation. Raises `MachineLost` when the second is lost too.
        """
        with contextlib.ExitStack() as stack:
            try:
                running = self.accelerators.despite_loss(lambda: stack.enter_context(self.boot_once(target)))
            except MachineLost as lost:
                self.notice(told_of(target.id, "a boot was lost and tried again", lost.message))
                running = self.accelerators.despite_loss(lambda: stack.enter_context(self.boot_once(target)))
            yield running

    @contextlib.contextmanager
    def boot_once(self, target: Target, origin: Origin | None = None) -> Iterator[Running]:
        """One attempt at a boot; `origin` tells where memory and disk go of a guest that is to be frozen."""
        image = self.image(target)
        if target.boot is Boot.KFENCE:
            require_kfence(image, target.id)
        limits = self.limits(target)
        self.progress(f"{target.id}: booting {image.release} ({self.accelerator(target).accelerator})")
        with contextlib.ExitStack() as stack:
            machine = stack.enter_context(self.machine(target, origin))
            transport = reach(machine, image, limits.boot_s, limits)
            guest = self.guest(target, machine, transport, has_line=False)
            stack.callback(guest.close)
            start_s = time.monotonic() - machine.started
            self._learn_boot(target, start_s, machine.console.path)
            self.progress(f"{target.id}: booted in {start_s:.0f} s")
            self._tell_boot_trouble(target, guest)
            if target.boot is Boot.KFENCE:
                await_booted(guest)
                start_kfence(guest)
            yield Running(target=target, guest=guest, machine=machine, start_s=start_s, open_shell=transport.interact)

    def _tell_boot_trouble(self, target: Target, guest: Guest) -> None:
        """What the kernel reported before any test was there is nobody's failure, and still to be known."""
        with contextlib.suppress(GuestError):
            for splat in find_splats(guest.log.after(), self.rules):
                self.notice(f"{target.id}: the kernel reported trouble while it booted: {splat.title}")

    def guest(
        self, target: Target, machine: Machine, transport: Transport, *, has_line: bool, log_position: int | None = None
    ) -> Guest:
        """The guest in a machine, its connection made; `has_line` tells that it was frozen with the lab's own."""
        image = self.image(target)
        limits = self.limits(target)
        is_emulated = self.accelerator(target).accelerator is Accelerator.TCG
        probe = HangProbe(
            machine=lambda: machine.probes,
            console=machine.console,
            step_s=limits.probe_s,
            nmi_panics=NMI_PANIC in target.kernel_parameters,
            has_lockdep=has_option(image, "CONFIG_LOCKDEP"),
            is_emulated=is_emulated,
            dump_to=lambda: (
                self._report_file("dumps", f"{machine.console.path.stem}.elf") if self.settings.dump else None
            ),
        )
        return Guest(
            transport,
            root_transport=root_opener(machine, image, limits, has_line=has_line),
            limits=limits,
            console=machine.console,
            require_alive=machine.require_alive,
            log_position=log_position,
            probe=probe,
            rules=self.rules,
            release=image.release,
            is_emulated=is_emulated,
        )

    def machine(self, target: Target, origin: Origin | None) -> Machine:
        """A machine of the target that is not started yet."""
        image = self.image(target)
        return Machine(
            image,
            self.spec(target),
            console=self._console_path(target),
            origin=origin,
            is_keepable=self.settings.keep and (origin is None or origin.overlay is None),
            room_timeout_s=self.room_timeout_s * self.settings.patience,
            monitor_s=self.limits(target).monitor_s,
        )

    def spec(self, target: Target) -> MachineSpec:
        """The machine that this run gives a target."""
        image = self.image(target)
        parameters = target.kernel_parameters
        if target.boot is Boot.STRICT and has_option(image, "CONFIG_PAGE_OWNER"):
            parameters = (PAGE_OWNER, *parameters)
        verdict = self.accelerator(target)
        return machine_spec(
            image,
            verdict.accelerator,
            cpus=self._cpus(target),
            memory_mib=self.settings.memory_mib,
            cpu_model=verdict.cpu_model,
            kernel_parameters=parameters,
            boot=target.boot,
        )

    def _cpus(self, target: Target) -> int:
        """As many as were asked for; instructions are counted on one, unless another number was asked for in words."""
        is_asked = self.settings.origin["cpus"] != "default"
        return 1 if target.boot is Boot.ICOUNT and not is_asked else self.settings.cpus

    def build_place(self, image: Image) -> BuildPlace:
        """Where to compile: as asked, else on the host under TCG when it can be, else in the guest."""
        if self.settings.build is not BuildPlace.AUTO:
            if self.settings.build is BuildPlace.HOST:
                require_host_place(image)
            return self.settings.build
        if self.verdict(image).accelerator is Accelerator.KVM:
            return BuildPlace.GUEST
        try:
            require_host_place(image)
        except HostError as error:
            self.notice(f"modules are built in the guest: {error.message}")
            return BuildPlace.GUEST
        return BuildPlace.HOST

    def build(self, target: Target, guest: Callable[[], Guest]) -> Built:
        """The module built for a target: once a run, from the cache or now; `guest` is called when it takes a guest.

        Raises `BuildError` when it does not compile or does not fit, each time it is asked for.
        """
        return self._built.obtain(target.id, lambda: self._build(target, guest))

    def built_already(self, target: Target) -> Built | None:
        """The module that was built for a target in this run, if it was."""
        return self._built.there_already(target.id)

    def _build(self, target: Target, guest: Callable[[], Guest]) -> Built:
        image = self.image(target)
        where = self.build_place(image)

        def begin() -> Place:
            # Called for a build that is not in the store.
            self.progress(f"{target.id}: building {self.source.name} ({where})")
            return self._open_place(where, image, guest)

        built = build_module(
            self.source,
            image,
            begin,
            where,
            self.store,
            policy=self.settings.compiler,
            timeout_s=self.limits(target).build_s,
        )
        self._learn_build(target, built)
        return built

    def program(self, target: Target, main: str, guest: Callable[[], Guest], *, tree: Source | None = None) -> Path:
        """A C program among the module's sources, or those of `tree`, compiled for a target's user space; cached like
        the module."""
        image = self.image(target)
        source = tree or self.source
        inputs = {"source": source.digest, "main": main, "image": image.digest}

        def build(work: Path) -> dict[str, str]:
            with contextlib.closing(self._open_place(self.build_place(image), image, guest)) as place:
                compile_program(source, main, image, place, work / "program", timeout_s=self.limits(target).build_s)
            return {"name": main}

        return self.store.obtain("program", inputs, build).file("program")

    def _open_place(self, where: BuildPlace, image: Image, guest: Callable[[], Guest]) -> Place:
        return GuestPlace(guest()) if where is BuildPlace.GUEST else HostPlace(image)

    def _console_path(self, target: Target) -> Path:
        name = f"{target.id}-{digest_of({'time': time.time_ns()})[:6]}-{next(self._boot_numbers)}.log"
        return self._report_file("consoles", name)

    def _report_file(self, kind: str, name: str) -> Path:
        directory = self.settings.report / kind
        directory.mkdir(parents=True, exist_ok=True)
        return directory / name

    def _learn_image(self, target: Target, image: Image, version: str, took_s: float) -> None:
        verdict = self.accelerator(target)
        if verdict.is_fallback:
            self.notice(f"guests are emulated, and slow: {verdict.short_reason}{known_words(os.environ)}")
        spec = self.spec(target)
        provenance = Provenance(
            release=image.release,
            kernel_package=image.kernel_package,
            image=image.digest,
            cloud_image=image.cloud_image,
            qemu=version,
            accelerator=str(verdict.accelerator),
            accelerator_reason=verdict.reason,
            cpu_model=spec.cpu_model,
            cpus=spec.cpus,
            memory_mib=spec.memory_mib,
            timing_source=str(TimingSource.CLOCK),
            host=host_words(),
        )
        state = "built" if image.is_new else "cached"
        self.facts[target.id] = TargetFacts(provenance=provenance, image=state, image_s=took_s, boot_s=0.0, boots=0)

    def _learn_loss(self, verdict: Verdict) -> None:
        """KVM is lost: each result that was begun under it says so from here on."""
        self.notice(f"guests are emulated from here on, and slow: {verdict.reason}")
        self.facts = {name: emulated(facts, verdict) for name, facts in self.facts.items()}

    def _learn_boot(self, target: Target, boot_s: float, console: Path) -> None:
        self.facts[target.id] = with_boot(self.facts[target.id], boot_s, console)

    def learn_fork(self, target: Target, fork_s: float) -> None:
        """Remember that a target was forked, and how long the first fork took to answer."""
        known = self.facts[target.id]
        self.facts[target.id] = dataclasses.replace(known, fork_s=known.fork_s or fork_s, forks=known.forks + 1)

    def learn_discarded_fork(self, target: Target, why: str) -> None:
        """Remember, and tell the user, that a fork was thrown away."""
        known = self.facts[target.id]
        self.facts[target.id] = dataclasses.replace(known, forks_discarded=known.forks_discarded + 1)
        self.notice(told_of(target.id, "a fork was thrown away and a boot took its place", why))

    def _learn_build(self, target: Target, built: Built) -> None:
        self.facts[target.id] = with_build(self.facts[target.id], built)
