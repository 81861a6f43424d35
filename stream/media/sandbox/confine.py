"""Confine: the rights that a process that decodes untrusted files gives up before it begins.

| what                                            | by                  | where              |
|-------------------------------------------------|---------------------|--------------------|
| memory, processor time without a picture        | setrlimit           | Linux; macOS: time |
| growing files, core files                       | setrlimit           | Linux, macOS       |
| files but the recording and Python's own code   | Landlock (5.13)     | Linux              |
| sockets, other programs, other processes        | seccomp             | Linux, x86-64, ARM |

What a system does not have is left out; the watch over time without a picture, which is the
parent's, and the limits on pictures and streams hold everywhere.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import resource
import struct
import sys
import time
from collections.abc import Iterable
from pathlib import Path

MEMORY_BYTES = 4 << 30
"""Of addresses; see `bench.sandbox_cost`."""
CPU_S = 60
"""Of all threads together, without a picture or a step of the survey."""
OPEN_FILES = 64

_NO_NEW_PRIVILEGES = 38
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION, _PATH_BENEATH = 1, 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Version of Landlock → how many rights on files it knows."""
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_FORBIDDEN = {
    # socket, connect, bind; execve, execveat; ptrace, process_vm_readv, process_vm_writev, kill;
    # io_uring_setup, bpf, unshare, perf_event_open, keyctl
    "x86_64": (41, 42, 49, 59, 322, 101, 310, 311, 62, 425, 321, 272, 298, 250),
    "aarch64": (198, 203, 200, 221, 281, 117, 270, 271, 129, 425, 280, 97, 241, 219),
}
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000
_LOAD, _EQUAL, _ABOVE, _RETURN = 0x20, 0x15, 0x35, 0x06


def confine(recording: Path, code: Iterable[Path]) -> set[str]:
    """Give up everything but reading one file; called before any thread is started.

    Args:    code: folders of packages that may still be imported.
    Returns: what holds now, of "memory", "processor", "files", "calls".
    """
    holds = set()
    for name, soft in (("CORE", 0), ("FSIZE", 0), ("NOFILE", OPEN_FILES)):
        _limit(getattr(resource, f"RLIMIT_{name}"), soft)
    # macOS takes the limit on addresses and does not keep to it.
    if sys.platform == "linux" and _limit(resource.RLIMIT_AS, MEMORY_BYTES):
        holds.add("memory")
    if more_time():
        holds.add("processor")
    if sys.platform == "linux":
        system = ctypes.CDLL(None, use_errno=True)
        if system.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0:
            holds |= {"files"} if _only_read(system, recording, code) else set()
            holds |= {"calls"} if _no_forbidden_calls(system) else set()
    return holds


def more_time() -> bool:
    """Another `CPU_S` of processor time from now on; the system ends a process that needs more."""
    return _limit(resource.RLIMIT_CPU, math.ceil(time.process_time()) + CPU_S)


def _limit(what: int, soft: int) -> bool:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    try:
        resource.setrlimit(what, (soft, hard))
    except (ValueError, OSError):
        return False
    return True


def _only_read(system: ctypes.CDLL, recording: Path, code: Iterable[Path]) -> bool:
    """Landlock, as in the kernel's userspace-api/landlock.rst."""
    version = system.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        return False
    files = (1 << _FILE_RIGHTS.get(version, 16)) - 1
    network = 0b11 if version >= 4 else 0
    scopes = 0b11 if version >= 6 else 0
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = system.syscall(
        _LANDLOCK_CREATE, struct.pack("QQQ", files, network, scopes)[:size], size, 0
    )
    if rules < 0:
        return False
    try:
        _allow(system, rules, recording, _READ_FILE)
        for folder in code:
            _allow(system, rules, folder, _READ_FILE | _READ_FOLDER)
        return bool(system.syscall(_LANDLOCK_RESTRICT, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow(system: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        # Then it cannot be opened later, either, and that gives the better message.
        return
    system.syscall(_LANDLOCK_ADD, rules, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    os.close(place)


def _no_forbidden_calls(system: ctypes.CDLL) -> bool:
    """A filter of system calls, as in seccomp(2): the forbidden ones fail with EPERM."""
    machine = platform.machine()
    if machine not in _SECCOMP or sys.maxsize < 2**32:
        return False
    # Offsets in struct seccomp_data: 0 the call's number, 4 the architecture.
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _AUDIT_ARCH[machine]), (_RETURN, 0, 0, _KILL)]
    steps += [(_LOAD, 0, 0, 0)]
    numbers = _FORBIDDEN[machine]
    # Numbers above belong to another way of calling (x32), through which the list could be passed.
    steps += [(_ABOVE, len(numbers) + 1, 0, 0x40000000)]
    steps += [(_EQUAL, len(numbers) - place, 0, call) for place, call in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in steps))
    filter_ = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program))
    whole_process, set_filter = 1, 1
    return bool(system.syscall(_SECCOMP[machine], set_filter, whole_process, filter_) == 0)
