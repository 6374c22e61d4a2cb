"""Logging in to an SSH server: by keys first, then, on a terminal, by asking for what the server or a key wants."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from hwaware.devices.ssh_hop import SshHop
from hwaware.devices.ssh_keys import agent_keys, key_files, load_key, public_half
from hwaware.devices.ssh_questions import Ask, answer_questions

if TYPE_CHECKING:
    from paramiko import PKey, Transport

TRIES = 3


class Login:
    """One login over `transport`, whose host key has been checked; what it leaves behind says why it failed.

    `locked` are the key files with a passphrase, `unusable` those that hold no key, with the reason; `questions` counts
    the passwords asked for. Passwords live as long as the call that needs them.
    """

    def __init__(self, hop: SshHop, transport: Transport, ask: Ask | None) -> None:
        self.hop = hop
        self.locked: list[str] = []
        self.unusable: list[str] = []
        self.questions = 0
        self._transport = transport
        self._ask = ask
        self._methods: frozenset[str] = frozenset()

    def run(self) -> bool:
        """Try everything there is; whether one is logged in then. Raises paramiko's errors of a broken connection."""
        # Tells what the server accepts; and some boards fresh from the factory accept this.
        self._try(partial(self._transport.auth_none, self.hop.user))
        self._offer_keys()
        if self._ask is not None:
            self._unlock_keys(self._ask)
            self._answer(self._ask)
        return self._transport.is_authenticated()

    def wants(self, method: str) -> bool:
        """Whether the server still waits for `method` (publickey, password, keyboard-interactive)."""
        return method in self._methods and not self._transport.is_authenticated()

    def _try(self, attempt: Callable[[], list[str]]) -> None:
        import paramiko

        try:
            # What is left to do after a part of several (a key and a password, say); nothing after the whole.
            self._methods = frozenset(attempt())
        except paramiko.BadAuthenticationType as error:
            self._methods = frozenset(error.allowed_types)
        except paramiko.AuthenticationException as error:
            if not self._transport.is_active() or "timeout" in str(error).lower():
                raise

    def _offer(self, key: PKey) -> None:
        self._try(partial(self._transport.auth_publickey, self.hop.user, key))

    def _offer_keys(self) -> None:
        with agent_keys(self.hop) as held:
            in_agent = {key.blob: key for key in held}
            for path in key_files(self.hop):
                if not self.wants("publickey"):
                    return
                known = in_agent.pop(public_half(path) or b"", None)
                if known is None:
                    self._offer_file(path)
                else:
                    self._offer(known)
            if self.hop.listed_keys_only:
                return
            for key in in_agent.values():
                if not self.wants("publickey"):
                    return
                self._offer(key)

    def _offer_file(self, path: str) -> None:
        import paramiko

        try:
            key = load_key(path)
        except paramiko.PasswordRequiredException:
            self.locked.append(path)
        except ValueError as error:
            self.unusable.append(f"{path} ({error})")
        else:
            self._offer(key)

    def _unlock_keys(self, ask: Ask) -> None:
        for path in self.locked:
            for _ in range(TRIES):
                if not self.wants("publickey"):
                    return
                passphrase = ask(f"passphrase of the key {path} (none: go on without it): ", hidden=True)
                if not passphrase:
                    break
                try:
                    key = load_key(path, passphrase)
                except ValueError:
                    continue  # the wrong one
                self._offer(key)
                break

    def _answer(self, ask: Ask) -> None:
        for _ in range(TRIES):
            if self.wants("password"):
                self.questions += 1
                password = ask(f"password of {self.hop.login}: ", hidden=True)
                self._try(partial(self._transport.auth_password, self.hop.user, password, fallback=False))
            elif self.wants("keyboard-interactive"):
                self.questions += 1
                self._try(partial(answer_questions, self._transport, self.hop, ask))
