"""Files over SSH: by SFTP, or through `cat` on servers without SFTP (Dropbear on small boards)."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, Protocol

from hwaware.devices.output import MAX_LINE_BYTES, one_line
from hwaware.devices.ssh_session import SshSession
from hwaware.errors import AgentError, DeviceError

if TYPE_CHECKING:
    from paramiko import Channel, SFTPClient

_BLOCK_BYTES = 1 << 15  # the largest write every SFTP server takes
MAX_RECEIVED_BYTES = 1 << 32


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def send_file(session: SshSession, local: Path, remote: str) -> None:
    """Copy `local` to the absolute path `remote`; see Link.send."""
    step = f"the upload of {one_line(local.name)}"
    with _opened(session.name, local, "rb") as source, session.translated(step, session.timeouts.transfer):
        with _sftp(session, step) as sftp:
            if sftp is not None:
                with sftp.open(remote, "wb") as target:
                    # Without waiting for each block's answer; an error arrives with a later block or at the
                    # end.
                    target.set_pipelined(True)
                    while block := source.read(_BLOCK_BYTES):
                        target.write(block)
                return
        _send_through_shell(session, source, remote, step)


def receive_file(session: SshSession, remote: str, local: Path) -> None:
    """Copy `remote` to `local`; see Link.receive."""
    step = f"the download of {one_line(remote)}"
    with _opened(session.name, local, "wb") as target, session.translated(step, session.timeouts.transfer):
        with _sftp(session, step) as sftp:
            if sftp is not None:
                with sftp.open(remote, "rb") as source:
                    source.prefetch(min(source.stat().st_size or 0, MAX_RECEIVED_BYTES))
                    _copy_bounded(session.name, source, target, remote)
                return
        _receive_through_shell(session, remote, target, step)


@contextmanager
def _sftp(session: SshSession, step: str) -> Iterator[SFTPClient | None]:
    """An SFTP client, or None where the server offers no SFTP."""
    import paramiko

    with session.channel(step) as channel:
        client = None
        with session.limited(channel, step, session.timeouts.channel):
            try:
                channel.invoke_subsystem("sftp")
                client = paramiko.SFTPClient(channel)
            except (paramiko.SSHException, paramiko.SFTPError, EOFError):
                # The subsystem was refused, or its program is missing and ended at once. If it is the
                # connection that broke, the shell's turn says so.
                client = None
        try:
            yield client
        finally:
            if client is not None:
                client.close()


def _send_through_shell(session: SshSession, source: IO[bytes], remote: str, step: str) -> None:
    with session.channel(step) as channel:
        session.execute(channel, f"exec cat >{shlex.quote(remote)}", step)
        try:
            while block := source.read(_BLOCK_BYTES):
                channel.sendall(block)
            channel.shutdown_write()
        except OSError:
            # `cat` ended early, most likely on a full disk: then its own words are the reason to report.
            _check_ended(session, channel, step)
            raise
        _check_ended(session, channel, step)


def _receive_through_shell(session: SshSession, remote: str, target: IO[bytes], step: str) -> None:
    start = secrets.token_hex(8)
    with session.channel(step) as channel:
        session.execute(channel, f"printf %s {start}; exec cat <{shlex.quote(remote)}", step)
        with channel.makefile("rb", _BLOCK_BYTES) as source:
            # Whatever the login shell's start-up files print is not part of the file.
            before = b""
            while not before.endswith(start.encode()):
                byte = source.read(1)
                if not byte or len(before) > MAX_LINE_BYTES:
                    raise AgentError(f"device {session.name}: {step} failed: its login shell did not run `cat`")
                before += byte
            _copy_bounded(session.name, source, target, remote)
        _check_ended(session, channel, step)


def _check_ended(session: SshSession, channel: Channel, step: str) -> None:
    """Raise DeviceError with the command's own words unless it succeeded."""
    with session.limited(channel, step, session.timeouts.transfer):
        said = channel.makefile_stderr("rb").read(MAX_LINE_BYTES)
        status = channel.recv_exit_status()
    if status != 0:
        reason = one_line(said.decode(errors="replace")) or ("ended by a signal" if status < 0 else f"exit {status}")
        raise DeviceError(f"device {session.name}: {step} failed: {reason}")


def _copy_bounded(device: str, source: _Readable, target: IO[bytes], remote: str) -> None:
    received = 0
    while block := source.read(_BLOCK_BYTES):
        received += len(block)
        if received > MAX_RECEIVED_BYTES:
            raise AgentError(f"device {device}: {remote} is larger than {MAX_RECEIVED_BYTES >> 30} GiB")
        target.write(block)


def _opened(device: str, local: Path, mode: Literal["rb", "wb"]) -> IO[bytes]:
    try:
        return local.open(mode)
    except OSError as error:
        raise DeviceError(f"cannot open {local} (for device {device}): {error.strerror}") from error
