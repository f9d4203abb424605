"""Keeps a program from outliving the process that wanted it.

A script of its own (standard library only, a few milliseconds to start), run between the two by `server.dev.child`:

    guard.py GRACE_SECONDS PROGRAM ARGUMENT...

Standard input is one end of a socket pair, the *link*; nobody but the owner holds the other end. The guard starts PROGRAM and
writes its process id and a line feed to the link. Each byte read from the link is the number of a signal to pass on. The end
of the link means that the owner is gone, whatever ended it: PROGRAM gets SIGTERM, and SIGKILL after the grace. Signals that
reach the guard itself are passed on too. The guard ends with PROGRAM and with its exit code (128 + n after signal n).

On Linux, PROGRAM also dies with the guard, so not even killing both owner and guard leaves it behind.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PR_SET_PDEATHSIG = 1


def die_with(guard: int) -> None:
    """Ask Linux to kill this process when its parent `guard` ends; other systems have no such thing."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:  # it ended before the kernel was asked
        os._exit(1)


def launch(command: list[str]) -> int:
    """Start `command` as a child; returns its process id. Exits 127 in the child if it cannot be executed."""
    guard = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*PASSED_ON, signal.SIGCHLD))
        die_with(guard)
        os.execv(command[0], command)  # noqa: S606 - the point of the program: no shell, a fixed list
    except OSError as error:
        os.write(2, f"cannot run {command[0]}: {error.strerror}\n".encode())
    os._exit(127)


def send(pid: int, number: int) -> None:
    """Signal the program; it is not reaped while the guard runs, so the id cannot belong to another."""
    with contextlib.suppress(OSError):
        os.kill(pid, number)


def watch(pid: int, link: socket.socket, wakeup: int, grace_s: float) -> int:
    """Pass signals on until the program ends; returns its wait status."""
    inputs: list[socket.socket | int] = [link, wakeup]
    deadline: float | None = None
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        patience = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select(inputs, [], [], patience)
        if wakeup in ready:
            for number in os.read(wakeup, 64):
                if number != signal.SIGCHLD:
                    send(pid, number)
        if link in ready:
            numbers = receive(link)
            for number in numbers:
                send(pid, number)
            if not numbers:
                inputs.remove(link)
                send(pid, signal.SIGTERM)
                deadline = time.monotonic() + grace_s
        if deadline is not None and time.monotonic() >= deadline:
            send(pid, signal.SIGKILL)
            deadline = None


def receive(link: socket.socket) -> bytes:
    """The next bytes of the link; none at its end, broken or closed."""
    try:
        return link.recv(64)
    except OSError:
        return b""


def main() -> None:
    """Run PROGRAM under guard; never returns."""
    grace_s, command = float(sys.argv[1]), sys.argv[2:]
    link = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, (*PASSED_ON, signal.SIGCHLD))
    wakeup, wakeup_write = os.pipe()
    os.set_blocking(wakeup_write, False)
    signal.set_wakeup_fd(wakeup_write)
    for number in (*PASSED_ON, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    pid = launch(command)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*PASSED_ON, signal.SIGCHLD))
    with contextlib.suppress(OSError):  # the owner may be gone already: `watch` sees the end of the link
        link.sendall(b"%d\n" % pid)
    status = watch(pid, link, wakeup, grace_s)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
