# SPDX-License-Identifier: MIT
"""The content-addressed cache: an object is named by the digest of its inputs, built once and published atomically.

objects/<kind>/<digest>/    a sealed object: its files and manifest.json
locks/                      one lock per object, so that parallel runs build it once
tmp/                        work in progress; removed once its builder is gone
notes/                      small JSON facts with a date: verdicts on this host, resolved versions
keys/                       the lab's SSH keys
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vmlab.errors import AssetError, hides_frames
from vmlab.store.object import MANIFEST, check_object, load_object
from vmlab.store.object import StoredObject as StoredObject
from vmlab.store.object import digest_of as digest_of
from vmlab.store.seal import survey, sync
from vmlab.store.trees import ProvedTrees, tree_state
from vmlab.system.files import disk_error, remove_tree, replace_file

__tracebackhide__ = hides_frames

_HOST_BOUND = ("snapshot",)
"""Kinds that belong to one host, its processor and its QEMU. QEMU opens a snapshot's memory for writing even if it
never writes to it (memory-backend-file without readonly=on)."""


class Store:
    """A directory of sealed objects. The constructor is cheap: it does not access the disk.

    Adding an object removes the least recently used ones until the rest fits `budget_gib`. The default budget is three
    quarters of the store's size plus the free space.

    `shared` is a second store, which many hosts read at once. Nothing in it is written, locked or removed. Its objects
    take precedence, so that all hosts use the same ones.
    """

    def __init__(self, root: Path, *, budget_gib: float | None = None, shared: Path | None = None) -> None:
        self.root = root
        self.shared = shared
        self._budget_gib = budget_gib

    def find(self, kind: str, inputs: Mapping[str, Any]) -> StoredObject | None:
        """Return the object with these inputs and mark it as used; None when it is missing or incomplete.

        Raises `AssetError` when a file differs from the manifest. A large file whose size and modification time
        match is not hashed; any other is.
        """
        digest = digest_of(inputs)
        shared = self._shared_path(kind, digest)
        if shared is not None:
            known = load_object(shared, is_shared=True)
            check_object(known, self._proved_trees(kind, digest, is_shared=True), deep=False)
            return known
        path = self.object_path(kind, digest)
        if not (path / MANIFEST).is_file():
            return None
        found = load_object(path)
        check_object(found, self._proved_trees(kind, digest), deep=False)
        with contextlib.suppress(OSError):
            os.utime(path / MANIFEST)
        return found

    def obtain(
        self,
        kind: str,
        inputs: Mapping[str, Any],
        build: Callable[[Path], Mapping[str, Any]],
        *,
        waiting: Callable[[], None] = lambda: None,
    ) -> StoredObject:
        """Return the object with these inputs; if it is missing, `build` makes it in a fresh directory.

        One process builds and the others wait (`waiting` is called once when that happens). `build` returns the
        object's facts. When it raises, nothing is left behind. `is_new` is true if it was built by this call.
        """
        found = self.find(kind, inputs)
        if found is not None:
            return found
        digest = digest_of(inputs)
        with self.lock(f"{kind}-{digest}", waiting=waiting):
            found = self.find(kind, inputs)
            if found is not None:
                return found
            work = self._fresh_directory(f"{kind}-{digest}")
            try:
                facts = build(work)
                made = self._publish(kind, digest, inputs, facts, work)
            except OSError as error:
                raise disk_error(error, self.root) from error
            finally:
                remove_tree(work)
        with self.hold(made.path):
            self.keep_to(self.budget_bytes())
        return made

    @property
    def is_there(self) -> bool:
        """True if the directory is a store; in any other directory the lab removes nothing."""
        return (self.root / "objects").is_dir() or (self.root / "locks").is_dir()

    def objects(self) -> Iterator[StoredObject]:
        """Yield every sealed object, including the shared store's, sorted by kind and age."""
        found = self._own_objects()
        for path in self.shared.glob(f"objects/*/*/{MANIFEST}") if self.shared is not None else ():
            if path.parent.parent.name not in _HOST_BOUND:
                found.append(load_object(path.parent, is_shared=True))
        yield from sorted(found, key=lambda item: (item.kind, item.created))

    def _own_objects(self) -> list[StoredObject]:
        return [load_object(path.parent) for path in self.root.glob(f"objects/*/*/{MANIFEST}")]

    def unreadable(self) -> Iterator[tuple[str, str]]:
        """Yield kind and digest of each object whose manifest cannot be read; `objects` raises for these."""
        for path in sorted(self.root.glob(f"objects/*/*/{MANIFEST}")):
            try:
                load_object(path.parent)
            except AssetError:
                yield path.parent.parent.name, path.parent.name

    def verify(self, item: StoredObject) -> None:
        """Hash every file of an object; raises `AssetError` naming the first that differs from the manifest."""
        check_object(item, self._proved_trees(item.kind, item.digest, is_shared=item.is_shared), deep=True)

    def remove(self, item: StoredObject) -> bool:
        """Remove an object; a rename first, so that no reader sees half of it. Returns False when it is held, or in the
        shared store."""
        return not item.is_shared and self.discard(item.kind, item.digest)

    def discard(self, kind: str, digest: str) -> bool:
        """Remove an object that may be too damaged to load; otherwise like `remove`."""
        path = self.object_path(kind, digest)
        with self.lock(f"{kind}-{digest}"), contextlib.ExitStack() as stack:
            try:
                stack.callback(os.close, _locked(path / MANIFEST, fcntl.LOCK_EX))
            except FileNotFoundError:
                pass  # already removed, or without a manifest
            except BlockingIOError:
                return False
            grave = self._fresh_directory(f"{kind}-{digest}") / "old"
            with contextlib.suppress(FileNotFoundError):
                path.rename(grave)
            remove_tree(grave.parent)
            self._proved_trees(kind, digest).forget()
        return True

    @contextlib.contextmanager
    def hold(self, path: Path) -> Iterator[None]:
        """Prevent the removal of an object, named by its directory, for the length of a `with` block.

        Raises `AssetError` when it is gone. The kernel releases it when this process dies.
        """
        manifest = path / MANIFEST
        if self.shared is not None and path.is_relative_to(self.shared):
            # Other hosts would not see the lock, and a read-only file system may not support locks.
            yield
            return
        try:
            descriptor = _locked(manifest, fcntl.LOCK_SH)
        except (FileNotFoundError, BlockingIOError):
            raise AssetError(f"{path.parent.name} {path.name} is being removed from the store") from None
        try:
            yield
        finally:
            os.close(descriptor)

    def keep_to(self, budget_bytes: int) -> list[StoredObject]:
        """Remove the least recently used objects that are not held, until the rest fits a budget; returns them."""
        items = sorted(self._own_objects(), key=self.last_used)
        excess = sum(item.size_bytes for item in items) - budget_bytes
        removed = []
        for item in items:
            if excess <= 0:
                break
            if self.remove(item):
                excess -= item.size_bytes
                removed.append(item)
        return removed

    def budget_bytes(self) -> int:
        """Return the maximum size on disk of all objects together."""
        if self._budget_gib is not None:
            return int(self._budget_gib * 2**30)
        used = sum(item.size_bytes for item in self._own_objects())
        return (used + shutil.disk_usage(self._directory(".")).free) * 3 // 4

    def last_used(self, item: StoredObject) -> float:
        try:
            return (item.path / MANIFEST).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def remove_rubbish(self) -> int:
        """Delete work directories that no live builder holds; returns their number."""
        count = 0
        for path in (self.root / "tmp").glob("*") if self.is_there else ():
            name = path.name.rpartition(".")[0]
            try:
                with FileLock(self.root / "locks" / f"{name}.lock", timeout=0):
                    remove_tree(path)
                    count += 1
            except Timeout:
                continue
        return count

    @contextlib.contextmanager
    def lock(self, name: str, *, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the machine-wide lock of that name; the kernel releases it when its holder dies."""
        directory = self._directory("locks")
        held = FileLock(directory / f"{name}.lock")
        try:
            held.acquire(timeout=0)
        except Timeout:
            waiting()
            held.acquire(poll_interval=0.2)
        try:
            yield
        finally:
            held.release()

    def note(self, name: str) -> tuple[Any, float] | None:
        """Return a stored fact and its age in seconds; None when it is missing or not valid JSON.

        A fact of the shared store has age 0: all readers use it until the store's maintainer updates it.
        """
        if self.shared is not None:
            with contextlib.suppress(OSError, ValueError):
                return json.loads((self.shared / "notes" / f"{name}.json").read_text(encoding="utf-8")), 0.0
        path = self.root / "notes" / f"{name}.json"
        try:
            return json.loads(path.read_text(encoding="utf-8")), max(0.0, time.time() - path.stat().st_mtime)
        except (OSError, ValueError):
            return None

    def remember(self, name: str, fact: object) -> None:
        """Store a fact under a name, replacing the old one atomically."""
        path = self._directory("notes") / f"{name}.json"
        replace_file(path, json.dumps(fact, indent=1))

    def directory(self, name: str) -> Path:
        """Return a directory of the store that is not content-addressed, such as `keys` or `downloads`."""
        return self._directory(name)

    def shared_directory(self, name: str) -> Path | None:
        """Return the shared store's directory of that name; None if there is none."""
        path = self.shared / name if self.shared is not None else None
        return path if path is not None and path.is_dir() else None

    def _shared_path(self, kind: str, digest: str) -> Path | None:
        if self.shared is None or kind in _HOST_BOUND:
            return None
        path = self.shared / "objects" / kind / digest
        return path if (path / MANIFEST).is_file() else None

    def object_path(self, kind: str, digest: str) -> Path:
        """Return the path of an object, which may not exist yet."""
        return self.root / "objects" / kind / digest

    def _proved_trees(self, kind: str, digest: str, *, is_shared: bool = False) -> ProvedTrees:
        place = "shared-" if is_shared else ""
        return ProvedTrees(self.root / "notes" / f"tree-{place}{kind}-{digest}.json")

    def _directory(self, name: str) -> Path:
        path = self.root / name
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, self.root) from error
        return path

    def _fresh_directory(self, name: str) -> Path:
        work = self._directory("tmp") / f"{name}.{os.getpid()}"
        for old in work.parent.glob(f"{name}.*"):
            remove_tree(old)
        work.mkdir()
        return work

    def _publish(
        self, kind: str, digest: str, inputs: Mapping[str, Any], facts: Mapping[str, Any], work: Path
    ) -> StoredObject:
        sync(work)  # before the survey: a file's size on disk may be known only once it is written
        states = {path.name: tree_state(path) for path in work.iterdir() if path.is_dir()}
        manifest = {"schema": 1, "inputs": inputs, "facts": dict(facts), "created": time.time(), "files": survey(work)}
        (work / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        sync(work)
        final = self.object_path(kind, digest)
        final.parent.mkdir(parents=True, exist_ok=True)
        remove_tree(final)  # an object without a manifest, which `find` ignores
        work.rename(final)
        for name, state in states.items():
            self._proved_trees(kind, digest).add(name, state)
        return load_object(final, is_new=True)


def _locked(path: Path, how: int) -> int:
    """Return a descriptor that holds a file's lock. Raises `BlockingIOError` when another process holds it,
    `FileNotFoundError` when the file was removed meanwhile."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        if path.stat().st_ino != os.fstat(descriptor).st_ino:
            raise FileNotFoundError(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
