# SPDX-License-Identifier: MIT
"""The content-addressed cache: an object is named by the digest of its inputs, built once and published atomically.

objects/<kind>/<digest>/    a sealed object: its files and manifest.json
locks/                      one lock per object, so that parallel runs build it once
tmp/                        work in progress; removed once its builder is gone
notes/                      small JSON facts with a date: verdicts on this host, resolved versions
keys/                       the lab's SSH keys, which its guests receive at boot
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vmlab.errors import AssetError, HostError, hides_frames
from vmlab.store.object import MANIFEST, check_object, load_object
from vmlab.store.object import StoredObject as StoredObject
from vmlab.store.object import digest_of as digest_of
from vmlab.store.place import folders, is_real_directory, is_store, make_directory, object_paths, require_directory
from vmlab.store.seal import survey, sync
from vmlab.store.trees import ProvedTrees, tree_state
from vmlab.system.files import disk_error, is_file, remove_tree, replace_file
from vmlab.system.lock import open_lock, take, try_take
from vmlab.system.private import read_small_json

__tracebackhide__ = hides_frames

_HOST_BOUND = ("snapshot",)
"""Kinds that belong to one host, its processor and its QEMU. QEMU opens a snapshot's memory for writing even if it
never writes to it (memory-backend-file without readonly=on)."""
_NOTE_BYTES = 16 * 2**20
_PATIENCE_S = 4 * 3600.0
"""Timeout for another process that builds the same object; an emulated image may take two hours."""


class Store:
    """A directory of sealed objects. The constructor is cheap: it does not access the disk.

    Adding an object removes the least recently used ones until the rest fits `budget_gib`. The default budget is three
    quarters of the store's size plus the free space.

    `shared` is a second store, which many hosts read at once. Nothing in it is written, locked or removed. Its objects
    take precedence, so that all hosts use the same ones.

    Directories are made for this user alone, whatever the umask, and so are an object's files; below them an object's
    folders keep their modes. `notice` is called once for each damaged object that a listing skips.
    """

    def __init__(
        self,
        root: Path,
        *,
        budget_gib: float | None = None,
        shared: Path | None = None,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.root = root
        self.shared = shared
        self._budget_gib = budget_gib
        self._notice = notice
        self._told: set[Path] = set()

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
        require_directory(self.root)
        if not is_file(path / MANIFEST):
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
            self._directory(f"objects/{kind}")  # a place that cannot be used is told before the build
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

    def objects(self) -> Iterator[StoredObject]:
        """Yield every sealed object, including the shared store's, sorted by kind and age.

        Skips an object whose manifest is missing or damaged, with a notice.
        """
        found = self._own_objects()
        for path in object_paths(self.shared) if self.shared is not None else ():
            if path.parent.name not in _HOST_BOUND:
                found += self._loaded(path, is_shared=True)
        yield from sorted(found, key=lambda item: (item.kind, item.created))

    def _own_objects(self) -> list[StoredObject]:
        return [item for path in self._own_paths() for item in self._loaded(path, is_shared=False)]

    def _own_paths(self) -> list[Path]:
        return object_paths(self.root) if is_store(self.root) else []

    def _loaded(self, path: Path, *, is_shared: bool) -> list[StoredObject]:
        try:
            return [load_object(path, is_shared=is_shared)]
        except AssetError as error:
            if path not in self._told:
                self._told.add(path)
                self._notice(f"skipped: {error.one_line}")
            return []

    def unreadable(self) -> Iterator[tuple[str, str]]:
        """Yield kind and digest of each object that `objects` skips."""
        for path in self._own_paths():
            try:
                load_object(path)
            except AssetError:
                yield path.parent.name, path.name

    def verify(self, item: StoredObject) -> None:
        """Hash every file of an object; raises `AssetError` naming the first that differs from the manifest."""
        check_object(item, self._proved_trees(item.kind, item.digest, is_shared=item.is_shared), deep=True)

    def remove(self, item: StoredObject) -> bool:
        """Remove an object; a rename first, so that no reader sees half of it. Returns False when it is held, or in the
        shared store."""
        return not item.is_shared and self.discard(item.kind, item.digest)

    def discard(self, kind: str, digest: str) -> bool:
        """Remove an object that may be too damaged to load; otherwise like `remove`."""
        path = self._directory(f"objects/{kind}") / digest
        with self.lock(f"{kind}-{digest}"), contextlib.ExitStack() as stack:
            # A link in an object's place is removed, and not followed.
            if is_real_directory(path):
                try:
                    stack.callback(os.close, _locked(path / MANIFEST, fcntl.LOCK_EX))
                except BlockingIOError:
                    return False
                except OSError:
                    pass  # already removed, or nothing that a user of the object could hold
                with contextlib.suppress(OSError):
                    path.chmod(0o700)  # rename(2) writes to a directory that it moves
            grave = self._fresh_directory(f"{kind}-{digest}") / "old"
            try:
                path.rename(grave)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise disk_error(error, path) from None
            finally:
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
        except OSError as error:
            raise HostError(f"cannot lock {str(manifest)!r}: {error.strerror}", hint="vmlab images verify") from None
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
        for path in folders(self.root, "tmp") if is_store(self.root) else ():
            with self.lock_if_free(path.name.rpartition(".")[0]) as is_free:
                if is_free:
                    remove_tree(path)
                    count += 1
        return count

    @contextlib.contextmanager
    def lock(self, name: str, *, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the machine-wide lock of that name; the kernel releases it when its holder dies.

        Calls `waiting` once if another process holds it; raises `HostError`, which names that process, after hours.
        """
        descriptor = self._open_lock(name)
        try:
            take(descriptor, timeout_s=_PATIENCE_S, describe=f"the lock {name!r} of the store", on_wait=waiting)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def lock_if_free(self, name: str) -> Iterator[bool]:
        """Hold the lock of that name if no other process does; yields False if one does."""
        descriptor = self._open_lock(name)
        try:
            yield try_take(descriptor)
        finally:
            os.close(descriptor)

    def _open_lock(self, name: str) -> int:
        return open_lock(self._directory("locks") / f"{name}.lock")

    def note(self, name: str) -> tuple[Any, float] | None:
        """Return a stored fact and its age in seconds; None when it is missing or not valid JSON.

        A fact of the shared store has age 0: all readers use it until the store's maintainer updates it.
        """
        if self.shared is not None:
            with contextlib.suppress(OSError, ValueError):
                return read_small_json(self.shared / "notes" / f"{name}.json", limit_bytes=_NOTE_BYTES), 0.0
        path = self.root / "notes" / f"{name}.json"
        try:
            return read_small_json(path, limit_bytes=_NOTE_BYTES), max(0.0, time.time() - path.stat().st_mtime)
        except (OSError, ValueError):
            return None

    def remember(self, name: str, fact: object) -> None:
        """Store a fact under a name, replacing the old one atomically."""
        path = self._directory("notes") / f"{name}.json"
        replace_file(path, json.dumps(fact, indent=1))

    def directory(self, name: str) -> Path:
        """Return a directory of the store that is not content-addressed, such as `keys` or `downloads`."""
        return self._directory(name)

    def _shared_path(self, kind: str, digest: str) -> Path | None:
        if self.shared is None or kind in _HOST_BOUND:
            return None
        path = self.shared / "objects" / kind / digest
        return path if is_file(path / MANIFEST) else None

    def object_path(self, kind: str, digest: str) -> Path:
        """Return the path of an object, which may not exist yet."""
        return self.root / "objects" / kind / digest

    def _proved_trees(self, kind: str, digest: str, *, is_shared: bool = False) -> ProvedTrees:
        place = "shared-" if is_shared else ""
        return ProvedTrees(self.root / "notes" / f"tree-{place}{kind}-{digest}.json")

    def _directory(self, name: str) -> Path:
        return make_directory(self.root, name)

    def _fresh_directory(self, name: str) -> Path:
        work = self._directory("tmp") / f"{name}.{os.getpid()}"
        for old in work.parent.glob(f"{name}.*"):
            remove_tree(old)
        return self._directory(f"tmp/{work.name}")

    def _publish(
        self, kind: str, digest: str, inputs: Mapping[str, Any], facts: Mapping[str, Any], work: Path
    ) -> StoredObject:
        for path in work.iterdir():
            if path.is_file():
                path.chmod(path.stat().st_mode & 0o700 | 0o600)
        sync(work)  # before the survey: a file's size on disk may be known only once it is written
        states = {path.name: tree_state(path) for path in work.iterdir() if path.is_dir()}
        manifest = {"schema": 1, "inputs": inputs, "facts": dict(facts), "created": time.time(), "files": survey(work)}
        replace_file(work / MANIFEST, json.dumps(manifest, indent=1))
        (work / MANIFEST).chmod(0o600)
        sync(work)
        final = self._directory(f"objects/{kind}") / digest
        remove_tree(final)  # an object without a manifest, which `find` ignores
        work.rename(final)
        for name, state in states.items():
            self._proved_trees(kind, digest).add(name, state)
        return load_object(final, is_new=True)


def _locked(path: Path, how: int) -> int:
    """Return a descriptor that holds a file's lock. Raises `BlockingIOError` when another process holds it,
    `FileNotFoundError` when the file was removed meanwhile, another `OSError` when it cannot be opened or locked."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        # NFS refuses an exclusive lock on a descriptor that is not open for writing (flock(2)).
        descriptor = os.open(path, flags | (os.O_RDWR if how == fcntl.LOCK_EX else os.O_RDONLY))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EROFS):
            raise
        descriptor = os.open(path, flags | os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        if path.stat().st_ino != os.fstat(descriptor).st_ino:
            raise FileNotFoundError(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
