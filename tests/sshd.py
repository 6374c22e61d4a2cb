"""A real OpenSSH server on the loopback: own keys, own port, own home, ended with the test."""

from __future__ import annotations

import getpass
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.requirements import need

_START_S = 10.0


@dataclass
class Sshd:
    """A running server. `folder` holds its keys and log; `home` is $HOME of those who log in."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def user(self) -> str:
        return getpass.getuser()

    @property
    def url(self) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}"

    @property
    def key_file(self) -> Path:
        return self.folder / "user_key"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def fingerprint(self) -> str:
        """SHA256:... of the host key, as OpenSSH itself computes it."""
        listing = subprocess.run(
            [need("ssh-keygen", package="openssh-client"), "-lf", self.folder / "host_key.pub"],
            check=True,
            capture_output=True,
            text=True,
        )
        return listing.stdout.split()[1]

    def stop(self) -> None:
        """End the server and the connections it has open."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        connections = children.read_text().split() if children.exists() else []
        self.process.terminate()
        self.process.wait(10)
        for pid in connections:
            try:
                os.kill(int(pid), signal.SIGTERM)
                os.kill(int(pid), signal.SIGCONT)  # a test may have suspended it
            except ProcessLookupError:
                continue

    def replace_host_key(self) -> None:
        """Restart on the same port with another host key: the board was set up anew, or it is another one."""
        self.stop()
        for name in ("host_key", "host_key.pub"):
            (self.folder / name).unlink()
        _make_key(self.folder / "host_key")
        self.process = _launch(self.folder, self.port)


def start_sshd(
    folder: Path, environment: Mapping[str, str] | None = None, *, sftp: bool = True, forced: str | None = None
) -> Sshd:
    """Start a server in `folder`; `environment` is set for every login (SetEnv), `forced` what each command goes to."""
    home = folder / "home"
    home.mkdir(parents=True)
    for name in ("host_key", "user_key"):
        _make_key(folder / name)
    (folder / "authorized_keys").write_bytes((folder / "user_key.pub").read_bytes())
    # SetEnv overrides what the login gave, so the tests write nothing into the tester's real home.
    settings = {"HOME": str(home)} | dict(environment or {})
    for _ in range(5):
        port = _free_port()
        (folder / "config").write_text(_config(folder, port, settings, sftp, forced))
        process = _launch(folder, port)
        if process.poll() is None:
            return Sshd(folder, port, process)
    raise RuntimeError(f"sshd does not start: {(folder / 'log').read_text()}")


def _config(folder: Path, port: int, environment: Mapping[str, str], sftp: bool, forced: str | None) -> str:
    variables = " ".join(f'"{name}={value}"' for name, value in environment.items())
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/host_key",
        f"AuthorizedKeysFile {folder}/authorized_keys",
        f"PidFile {folder}/pid",
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "MaxStartups 100",
        f"SetEnv {variables}",
    ]
    if sftp:
        lines.append("Subsystem sftp internal-sftp")
    if forced is not None:
        lines.append(f"ForceCommand {forced}")
    return "\n".join(lines) + "\n"


def _launch(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """The server once it answers, or as it ended."""
    # Re-executing itself, sshd insists on an absolute path; as root it wants its privilege separation folder.
    program = need("sshd", package="openssh-server")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-D", "-e", "-f", str(folder / "config")],
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
    deadline = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 1.0) as probe:
                if re.match(rb"SSH-2\.0-", probe.recv(64)):
                    return process
        except OSError:
            time.sleep(0.02)
    process.terminate()
    process.wait(10)
    return process


def _make_key(path: Path) -> None:
    command = [need("ssh-keygen", package="openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
