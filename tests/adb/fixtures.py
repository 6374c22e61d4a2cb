"""Phones to test with, behind a real adb server: newer and older ones, of this machine or ARM, and a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.adb.phone import Phone
from tests.adb.server import CHOICES, AdbServer, start_adb_server
from tests.arm_board import MACHINES, arm_userland


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbServer]:
    """One adb server for the session, which every `adb` started by the tests finds; nobody may stop it."""
    server = start_adb_server(tmp_path_factory.mktemp("adb"))
    with pytest.MonkeyPatch.context() as patch:
        for name in CHOICES:
            patch.delenv(name, raising=False)
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        yield server
    server.stop()


@pytest.fixture(scope="session")
def phone(adb_server: AdbServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """One newer phone for the session; nobody may change or stop it."""
    with adb_server.attached(Phone(tmp_path_factory.mktemp("phone"))) as attached:
        yield attached


@pytest.fixture(scope="session")
def old_phone(adb_server: AdbServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """One old phone for the session, likewise."""
    with adb_server.attached(Phone(tmp_path_factory.mktemp("old-phone"), features="")) as attached:
        yield attached


@pytest.fixture(scope="session")
def arm_phones(adb_server: AdbServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Phone]]:
    """A newer phone of each ARM machine, by what its `uname -m` says; nobody may change or stop them."""
    with ExitStack() as stack:
        phones = {}
        for machine in MACHINES:
            folder = tmp_path_factory.mktemp(f"{machine}-phone")
            system = arm_userland(machine, folder / "system")
            phones[machine] = stack.enter_context(
                adb_server.attached(Phone(folder, shell=str(system / "sh"), path=str(system)))
            )
        yield phones


@pytest.fixture(scope="session")
def arm_phone(arm_phones: dict[str, Phone]) -> Phone:
    """The one that is like most phones."""
    return arm_phones["aarch64"]


@pytest.fixture
def start_phone(adb_server: AdbServer, tmp_path: Path) -> Iterator[Callable[..., Phone]]:
    """`start_phone(...)`: phones of the test's own, attached; takes what Phone takes."""
    with ExitStack() as stack:
        count = 0

        def start(**options: object) -> Phone:
            nonlocal count
            count += 1
            folder = tmp_path / f"phone{count}"
            folder.mkdir()
            return stack.enter_context(adb_server.attached(Phone(folder, **options)))

        yield start
