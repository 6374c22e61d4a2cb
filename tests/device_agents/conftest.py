"""Agents over the tests' own kernels: one under the sanitizers, one as it is shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.device_agents.building import RELEASED, SANITIZED, SOURCES, build_agent

TABLES = (SOURCES / "tables.c", SOURCES / "kernels.c")


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_agent(tmp_path_factory.mktemp("sanitized") / "agent", TABLES, SANITIZED)


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_agent(tmp_path_factory.mktemp("released") / "agent", TABLES, RELEASED)


@pytest.fixture(scope="session", params=["sanitized", "released"])
def agent(request: pytest.FixtureRequest) -> Path:
    built: Path = request.getfixturevalue(request.param)
    return built
