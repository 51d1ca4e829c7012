# SPDX-License-Identifier: MIT
"""The testbed: everything that a run knows and holds of one target."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from vmlab.catalogue.target import Target
from vmlab.errors import BuildError, HostError, UsageError, hides_frames
from vmlab.host.accelerator import Accelerator, Verdict
from vmlab.host.limits import Limits
from vmlab.image.debug_symbols import obtain_vmlinux
from vmlab.image.extra_packages import with_packages
from vmlab.image.image import Image
from vmlab.lab.facts import TargetFacts
from vmlab.lab.freezer import Cargo, Freezer, Stage
from vmlab.lab.machines import Machines, Running
from vmlab.lab.rig import Rig
from vmlab.lab.run import Run
from vmlab.lab.snapshots import Snapshots
from vmlab.module.build import build_tree, compile_program
from vmlab.module.build_root import GuestPlace, HostPlace, Place, default_sandbox, require_host_place
from vmlab.module.built import Built, BuiltTree
from vmlab.module.needs import Need
from vmlab.module.sandbox import Sandbox
from vmlab.module.source import Source
from vmlab.module.steps import kernel_facts
from vmlab.module.tree.confined import describe_confined
from vmlab.module.tree.description import Description
from vmlab.module.tree.files import TreeFiles
from vmlab.module.tree.locate import described, needed_directories, read_module
from vmlab.settings import BuildPlace
from vmlab.system.once import Once
from vmlab.timing.series import TimingSource
from vmlab.timing.source import Proof

__tracebackhide__ = hides_frames


class Testbed:
    """Boots and forks a target's guests, and builds the module for them. Cheap to make.

    Images, boots and builds are made on first use. A permanent failure is not retried; its error is raised again.
    """

    __test__ = False  # pytest would collect a class of this name

    def __init__(
        self,
        run: Run,
        target: Target,
        *,
        rig: Rig | None = None,
        machines: Machines | None = None,
        freezer: Freezer | None = None,
    ) -> None:
        """Make a testbed; `rig`, `machines` and `freezer` default to new ones for the target."""
        self.run = run
        self.target = target
        self.rig = rig or Rig(run, target)
        self.machines = machines or Machines(self.rig)
        self.freezer = freezer or Freezer(self.rig, self.machines)
        self.snapshots = Snapshots(self.rig, self.freezer)
        self.unusable_sources: dict[TimingSource, Proof] = {}
        """Timing sources that were found not to count here."""
        self.losses: list[str] = []
        """Reasons for which the target's latest tests in a row lost their machines."""
        self._built = Once[BuiltTree](BuildError)
        self._sandbox = Once[Sandbox](HostError)

    @property
    def image(self) -> Image:
        """The target's image; built if it is not in the store (minutes, network). Raises `AssetError`, `HostError`."""
        return self.rig.image

    @property
    def accelerator(self) -> Verdict:
        """The accelerator of the target's guests."""
        return self.rig.accelerator

    @property
    def limits(self) -> Limits:
        """The timeouts of the target's guests."""
        return self.rig.limits

    @property
    def facts(self) -> TargetFacts | None:
        """The facts about the target so far; None until its image is obtained."""
        return self.rig.facts

    @contextlib.contextmanager
    def boot(self, *, has_network: bool | None = None) -> Iterator[Running]:
        """Yield a freshly booted guest. Costs a boot.

        With `has_network` it reaches the host's loopback interface and what the host reaches; without, only the lab's
        SSH enters it. None stands for the setting `network`.

        A boot that is lost before the guest answers is retried once, with a notice: the module was not loaded yet. If
        QEMU is refused KVM, the guest is emulated. Raises `MachineLost` if the second boot is lost too.
        """
        run, is_open = self.run, self._has_network(has_network)
        with contextlib.ExitStack() as stack:

            def attempt() -> Running:
                return run.accelerators.despite_loss(
                    lambda: stack.enter_context(self.machines.boot(has_network=is_open))
                )

            yield run.context.retry_lost(self.target.id, "a boot was lost", attempt)

    @contextlib.contextmanager
    def booted(self, stage: Stage = Stage.READY, *, has_network: bool | None = None) -> Iterator[Running]:
        """Yield a freshly booted guest that was brought to a stage; `has_network` as in `boot`."""
        cargo = self.cargo(stage)
        with self.boot(has_network=has_network) as running:
            cargo.bring(running.guest)
            yield running

    @contextlib.contextmanager
    def fork(self, stage: Stage = Stage.READY, *, has_network: bool | None = None) -> Iterator[Running]:
        """Yield a new guest, resumed from a snapshot of a stage; `has_network` as in `boot`.

        Costs 1 to 2 s under TCG, and the first time the making of the snapshot: a boot, and for the module's stages its
        build. A fork that fails its proof is replaced by a boot, with a notice. Raises `ModuleError` if the module does
        not build or load, again at every later call; `MachineLost` if boots are lost.
        """
        _ = self.image  # report a failed image first
        with contextlib.ExitStack() as stack:
            cargo, is_open = self.cargo(stage), self._has_network(has_network)
            running = stack.enter_context(self.snapshots.fork(cargo, has_network=is_open))
            yield running or stack.enter_context(self.booted(stage, has_network=is_open))

    def _has_network(self, asked: bool | None) -> bool:
        return self.run.settings.network if asked is None else asked

    def cargo(self, stage: Stage) -> Cargo:
        """Return the cargo of a stage; builds the module for it. Raises `BuildError`, again at every later call."""
        if stage is Stage.READY:
            return Cargo()
        # Any module of the tree stands for it until one is loaded.
        built = self.built() if stage is Stage.LOADED else self.built_already or self.built_tree().modules[-1]
        return Cargo(stage=stage, source=self.run.source, built=built)

    def built(self) -> Built:
        """Return the module built for the target, built once per run or cached; costs a fork if built in a guest.

        Raises `BuildError` if it does not compile or does not fit the kernel, again at every later call, and if the
        tree makes several modules and none of them was named.
        """
        return self.built_tree().chosen(self.run.source)

    def built_tree(self) -> BuiltTree:
        """Return all modules of the tree; raises and costs as `built`."""
        return self._built.obtain(self._build_own)

    def _build_own(self) -> BuiltTree:
        tree = self.build_tree(self.run.source)
        self.rig.learn_build(tree.modules[-1])
        return tree

    @property
    def built_already(self) -> Built | None:
        """The module that this run built for the target; None if it did not, or if none was named of several."""
        made = self._built.made
        try:
            return made.chosen(self.run.source) if made is not None else None
        except BuildError:
            return None

    def build(self, source: Source) -> Built:
        """Build a module for the target from given sources, or take it from the cache; raises as `built`."""
        return self.build_tree(source).chosen(source)

    def build_tree(self, source: Source, *, above: frozenset[Path] = frozenset()) -> BuiltTree:
        """Build the modules of a tree, and before it those of the trees that it needs; raises as `built`."""
        where, image = self.build_place, self.build_image(source)
        needs = [self._need(source, directory, above) for directory in needed_directories(source.stated)]
        with contextlib.ExitStack() as stack:

            def begin() -> Place:
                # Called only if the build is not in the store.
                self.run.context.progress(f"{self.target.id}: building {source.name} ({where})")
                return stack.enter_context(self.place(image))

            return build_tree(
                source,
                image,
                begin,
                where,
                self.run.store,
                policy=self.run.settings.compiler,
                timeout_s=self.limits.build_s,
                needs=needs,
            )

    def describe(self, source: Source) -> Description:
        """Describe a tree for the target's kernel; what its files leave unclear is asked where modules are built.

        Raises `UsageError` and `BuildError` as a build does, before it compiles. Costs a fork if that place is a guest.
        """
        with self.place(self.build_image(source)) as place:
            place.put_tree(source, source.build_name)
            return describe_confined(TreeFiles(source), kernel_facts(self.image), place, name=source.build_name)

    def build_image(self, source: Source) -> Image:
        """Return the image with the tool root for a tree's build: the packages that its description names are added.

        Costs a minute and network the first time. Raises `HostError` if modules are built in the guest, or if the
        target is not made from packages.
        """
        names = [fact.value for fact in described(source, is_strict=False).packages]
        if names and self.build_place is BuildPlace.GUEST:
            raise HostError(
                f"the packages {', '.join(names)} cannot be installed for a build in the guest, which has no network",
                hint="use --vmlab-build host",
            )
        return with_packages(self.target.stock, self.image, names, self.run.context)

    def _need(self, source: Source, directory: Path, above: frozenset[Path]) -> Need:
        """Build a tree that another one needs."""
        own = source.directory.resolve()
        if directory.resolve() in above | {own}:
            raise UsageError(f"{str(directory)!r} needs itself", hint="remove it from `needs`")
        found = read_module(directory)
        return Need(source=found, tree=self.build_tree(found, above=above | {own}))

    def program(self, main: str, *, tree: Source | None = None) -> Path:
        """Compile a C program of the module's sources, or of `tree`, for the target's user space; the result is cached.

        Raises `BuildError`; costs a fork if the build place is a guest.
        """
        source = tree or self.run.source
        inputs = {"source": source.digest, "main": main, "image": self.image.digest}

        def build(work: Path) -> dict[str, str]:
            with self.place() as place:
                compile_program(source, main, self.image, place, work / "program", timeout_s=self.limits.build_s)
            return {"name": main}

        return self.run.store.obtain("program", inputs, build).file("program")

    @property
    def build_place(self) -> BuildPlace:
        """The place to build: as set, else on the host under TCG if a build can be confined there, else in the guest.

        The first call proves it, in 0.1 s.
        """
        asked = self.run.settings.build
        if asked is BuildPlace.GUEST:
            return asked
        if asked is BuildPlace.AUTO and self.rig.host_verdict.accelerator is Accelerator.KVM:
            return BuildPlace.GUEST
        try:
            self._sandbox.obtain(self._prove_sandbox)
        except HostError as error:
            if asked is BuildPlace.HOST:
                raise
            self.run.context.notice(f"modules are built in the guest: {error.message}")
            return BuildPlace.GUEST
        return BuildPlace.HOST

    def _prove_sandbox(self) -> Sandbox:
        """Return the sandbox that confines builds on this host; a missing bubblewrap is a notice."""
        preferred, fault = default_sandbox(), "it is not installed (`vmlab setup` does it)"
        if preferred is Sandbox.BUBBLEWRAP:
            try:
                require_host_place(self.image, sandbox=preferred)
                return preferred
            except HostError as error:
                fault = error.message
        require_host_place(self.image, sandbox=Sandbox.OWN)
        self.run.context.notice(f"builds on this host use the lab's own sandbox, not bubblewrap: {fault}")
        return Sandbox.OWN

    @contextlib.contextmanager
    def place(self, image: Image | None = None) -> Iterator[Place]:
        """Yield the target's compiler: on the host, or in a fork without a network if the build place is a guest.

        `image` is one with another tool root, the default the target's own.
        """
        with contextlib.ExitStack() as stack:
            if self.build_place is BuildPlace.GUEST:
                place: Place = GuestPlace(stack.enter_context(self.fork(has_network=False)).guest)
            else:
                place = HostPlace(image or self.image, sandbox=self._sandbox.made)
            yield stack.enter_context(contextlib.closing(place))

    def vmlinux(self) -> Path:
        """Return the debug symbols of the target's kernel, for drgn; downloaded if not in the store (minutes)."""
        return obtain_vmlinux(self.target.stock, self.image, self.run.context)
