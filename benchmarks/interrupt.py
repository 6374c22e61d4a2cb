"""`python -m benchmarks.interrupt`: kill a profile at random moments, resume it, and see that nothing was lost.

The process that profiles and the agent that measures are killed (SIGKILL) in turn, at moments drawn over the time that
an uninterrupted profile takes; each time the profile goes on with ``--resume``. At the end every row that was on disk
at a kill must stand in the table as it was, no cell twice, no operation of the model missing, and neither a process
nor a file of the killed ones may be left. Status 1 where one of that does not hold.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from hwaware.costs.row import ALONE
from hwaware.costs.rows_file import parse_rows
from hwaware.costs.table import CELLS, CostTable
from hwaware.profiling.journal import PART

HOST, AGENT = "host", "agent"
Place: TypeAlias = tuple[str, str, str]  # CellRow.identity
_SOON_S = 10.0  # in which whatever was orphaned has to end by itself
_FREED_S = 120.0  # in which a killed profile's output must be let go of, on a busy machine
_VERBS = {b"bench", b"run"}  # of the agent
_RUN = "import sys; from hwaware.cli import main; sys.exit(main(sys.argv[1:]))"


@dataclass
class Scene:
    """A user of this machine whose caches and temporary files lie below `home`; profiles `model` as device local."""

    home: Path
    model: str
    rounds: int = 1  # of whole variants
    out: Path = field(init=False)

    def __post_init__(self) -> None:
        self.cache, self.scratch = self.home / "cache", self.home / "tmp"
        self.out = self.home / "table"
        self.scratch.mkdir(parents=True, exist_ok=True)

    def start(self, *, group: bool = False) -> subprocess.Popen[str]:
        """Begin the profile, or go on with it; with `group` as a process group of its own, like a terminal's job."""
        words = ["profile", self.model, "--device", "local", "--rounds", str(self.rounds), "--out", str(self.out)]
        homes = {"HWAWARE_CACHE": self.cache, "HWAWARE_DEVICES": self.home / "devices.toml", "TMPDIR": self.scratch}
        return subprocess.Popen(
            [sys.executable, "-c", _RUN, *words, *(["--resume"] if self.out.exists() else [])],
            env=os.environ | {name: str(path) for name, path in homes.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=group,
        )

    def finish(self) -> tuple[CostTable, float]:
        """Let it run to its end; the table, and how many seconds that took."""
        start = time.monotonic()
        with self.start() as process:
            _, said = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"the profile ended with status {process.returncode}: {said.strip()[-500:]}")
        return CostTable.load(self.out), time.monotonic() - start

    def rows(self) -> dict[Place, str]:
        """The whole rows on disk as they stand there, by `CellRow.identity`; a half-written one is none."""
        path = next((path for path in (self.out / PART, self.out / CELLS) if path.exists()), None)
        if path is None:
            return {}
        text = path.read_text()
        whole = text[: text.rfind("\n") + 1]
        if not whole:
            return {}
        lines = whole.splitlines()[1:]
        return {row.identity: line for row, line in zip(parse_rows(whole, path, ""), lines, strict=True)}

    def processes(self) -> list[int]:
        """All processes that were started below `start`, whoever is their parent now."""
        mark = f"HWAWARE_CACHE={self.cache}".encode()
        return [pid for pid in _pids() if mark in _read(pid, "environ").split(b"\0")]

    def agents(self) -> list[int]:
        """Running agents that measure cells or whole models: those that head a session, not what they fork."""
        return [pid for pid in self.processes() if _VERBS & set(_read(pid, "cmdline").split(b"\0")[:3]) and _leads(pid)]

    def files(self) -> set[str]:
        """What lies in the device's cache folder."""
        return {str(path.relative_to(self.cache)) for path in self.cache.rglob("*")}

    def strays(self) -> list[int]:
        """Processes that go on although nobody waits for them, after some patience."""
        deadline = time.monotonic() + _SOON_S
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""  # it has ended, or is another user's


def _leads(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


@dataclass
class Trial:
    """Kills in one scene. `kept` are the rows that were on disk at some kill, `kills` how many of whom."""

    scene: Scene
    kills: dict[str, int] = field(default_factory=lambda: {HOST: 0, AGENT: 0})
    kept: dict[Place, str] = field(default_factory=dict)
    stops: list[str] = field(default_factory=list)  # last words of profiles that did not outlive their agent

    def kill(self, victim: str, moment: float) -> bool:
        """Start the profile, or go on with it, and kill `victim` after `moment` seconds; False if it ended before."""
        with self.scene.start() as process:
            try:
                killed = self._kill_host(process, moment) if victim == HOST else self._kill_agent(process, moment)
                self.kills[victim] += killed
            finally:
                if victim == HOST:
                    process.kill()
            said = self._last_words(process, victim)
        if victim == AGENT and process.returncode != 0:
            self.stops.append(said.strip().splitlines()[-1])
        self.kept |= self.scene.rows()
        return killed

    def _last_words(self, process: subprocess.Popen[str], victim: str) -> str:
        """What it said until its end; of a killed one, whatever still holds its output is an error, not waited for."""
        try:
            return process.communicate(timeout=_FREED_S if victim == HOST else None)[1]
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"processes of a killed profile go on: {self.scene.processes()}") from None

    def _kill_host(self, process: subprocess.Popen[str], moment: float) -> bool:
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
        return False

    def _kill_agent(self, process: subprocess.Popen[str], moment: float) -> bool:
        """The one that measures at that moment, or else the next."""
        since = time.monotonic()
        while process.poll() is None:
            agents = self.scene.agents()
            if agents and time.monotonic() - since > moment:
                os.kill(agents[0], signal.SIGKILL)
                return True
            time.sleep(0.005)
        return False

    def lost(self) -> list[Place]:
        """Cells of `kept` that are not in the finished table byte by byte as they were."""
        rows = self.scene.rows()
        return [place for place, line in self.kept.items() if rows.get(place) != line]


def main() -> int:
    """Print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interrupt", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", nargs="?", default="zoo:lenet5")
    parser.add_argument("--kills", type=int, default=10, help="of the host process and of the agent, each")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="interrupt-") as home:
        scene = Scene(Path(home), args.model)
        scene.finish()  # compiles the agent
        shutil.rmtree(scene.out)
        reference, seconds = scene.finish()
        # Which whole variants are measured depends on what the table was least sure of.
        files, cells = scene.files(), {row.identity for row in reference.rows if row.state == ALONE}
        print(f"{args.model}: {len(cells)} cells in {seconds:.0f} s", flush=True)
        shutil.rmtree(scene.out)
        trial, rng = Trial(scene), np.random.default_rng(args.seed)
        bad: list[str] = []
        for victim in [HOST, AGENT] * args.kills:
            # A profile that is through before its kill leaves a finished table: begin another.
            while not trial.kill(victim, rng.uniform(0.0, seconds)):
                bad += _verdict(trial, cells)
                shutil.rmtree(scene.out)
                trial.kept.clear()
            print(f"killed {trial.kills}, {len(trial.kept)} rows kept", flush=True)
        bad += _verdict(trial, cells)
        strays, left = scene.strays(), sorted(scene.files() ^ files)
        bad += [f"processes left: {strays}"] if strays else []
        bad += [f"files left in the cache: {', '.join(left)}"] if left else []
        print(f"killed {trial.kills}; profiles that ended with their agent and were resumed: {len(trial.stops)}")
    print("\n".join(bad) or "nothing lost, nothing twice, nothing left")
    return 1 if bad else 0


def _verdict(trial: Trial, cells: set[Place]) -> list[str]:
    table, _ = trial.scene.finish()
    found = {row.identity for row in table.rows}
    bad = [f"{' '.join(place)} was on disk and is lost or changed" for place in trial.lost()]
    bad += [f"{len(table.rows) - len(found)} cells twice"] if len(found) < len(table.rows) else []
    less = len(cells - found)
    print(f"finished with {len(found)} cells; {less} of the uninterrupted profile are missing", flush=True)
    return bad + ([f"{less} cells of the uninterrupted profile are missing"] if less else [])


if __name__ == "__main__":
    sys.exit(main())
