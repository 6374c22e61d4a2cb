"""A real headless Chromium that opens one local page."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.requirements import need

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # the browser itself calls home otherwise
)  # fmt: skip
SCHEMES = {"dark": 0, "light": 1}


@dataclass(frozen=True)
class Browser:
    """Chromium with profiles of its own under `home`."""

    executable: str
    home: Path

    @classmethod
    def find(cls, home: Path) -> Browser:
        """The system's Chromium; without it the test is skipped, or fails where none may skip."""
        return cls(need("chromium", package="chromium"), home)

    def dom(self, page: Path, *flags: str) -> tuple[str, str]:
        """The parsed page serialised again, and the browser's log with what the page's console said."""
        done = self._open(page, "--enable-logging=stderr", "--dump-dom", *flags)
        return done.stdout, done.stderr

    def screenshot(self, page: Path, size: tuple[int, int], scheme: str) -> Path:
        """A PNG of the page's top in the light or the dark scheme."""
        picture = self.home / f"{page.stem}-{scheme}-{size[0]}.png"
        self._open(
            page,
            f"--screenshot={picture}",
            f"--window-size={size[0]},{size[1]}",
            f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        )
        return picture

    def _open(self, page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
        profile = self.home / "profile"
        words = [self.executable, *QUIET, f"--user-data-dir={profile}", *flags, page.as_uri()]
        return subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
