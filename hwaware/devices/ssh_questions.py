"""Passwords and the like, asked on the terminal when they are needed and kept nowhere."""

from __future__ import annotations

import getpass
import sys
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

from hwaware.devices.output import one_line
from hwaware.devices.ssh_hop import SshHop

if TYPE_CHECKING:
    from paramiko import Transport

_ANSWER_S = 120.0  # after which servers end the connection themselves


class Ask(Protocol):
    """Asks the user one thing; what is `hidden` is not shown while it is typed."""

    def __call__(self, question: str, *, hidden: bool) -> str: ...


def terminal() -> Ask | None:
    """Asks on the terminal; None where there is none."""
    return _ask if sys.stdin is not None and sys.stdin.isatty() else None


def _ask(question: str, *, hidden: bool) -> str:
    if not hidden:
        print(question, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().rstrip("\n")
    try:
        return getpass.getpass(question)
    except EOFError:
        return ""
    except KeyboardInterrupt:
        print(file=sys.stderr)  # what is said next begins on a line of its own
        raise


def answer_questions(transport: Transport, hop: SshHop, ask: Ask) -> list[str]:
    """Log in by `keyboard-interactive`; returns what the server wants beside that. Raises as paramiko does.

    paramiko asks from the connection's own thread, where Ctrl-C does not arrive and a question left open would leave
    the terminal without echo. So the questions go to the thread that waits for the login.
    """
    asked: SimpleQueue[list[tuple[str, bool]] | None] = SimpleQueue()
    answers: SimpleQueue[list[str]] = SimpleQueue()

    def hand_over(_title: str, instructions: str, questions: list[tuple[str, bool]]) -> list[str]:
        asked.put([(one_line(f"{instructions} {text}"), shown) for text, shown in questions])
        return answers.get()

    usual, transport.auth_timeout = transport.auth_timeout, _ANSWER_S
    with ThreadPoolExecutor(1) as pool:
        login = pool.submit(transport.auth_interactive, hop.user, hand_over)
        login.add_done_callback(lambda _: asked.put(None))
        try:
            while (questions := asked.get()) is not None:
                answers.put([ask(f"({hop.login}) {text} ", hidden=not shown) for text, shown in questions])
        except BaseException:
            answers.put([])  # the connection's thread waits for them
            transport.close()
            raise
        finally:
            transport.auth_timeout = usual
    return login.result()
