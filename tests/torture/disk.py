"""A small file system of its own for the state directory, which can be filled up and emptied."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 96 << 20
_STEP = 1 << 20


class Disk:
    """A tmpfs at ``folder``, where that is permitted; else a plain folder that cannot be filled up."""

    def __init__(self, folder: Path) -> None:
        """Mount it; ``why_not`` says why it could not be."""
        folder.mkdir()
        self.folder = folder
        self._filler = folder / "filler"
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "torture", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            self.why_not = done.stderr.strip() if done.returncode else ""
        except OSError as error:
            self.why_not = str(error)
        self.mounted = not self.why_not

    def fill(self) -> None:
        """Take all the room there is; also what others give up meanwhile is taken by the next call."""
        file = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with contextlib.suppress(OSError):
            for size in (_STEP, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        os.write(file, b"\0" * size)
        os.close(file)

    def is_full(self) -> bool:
        """Tell whether it was filled up, and not emptied since."""
        return self._filler.exists()

    def empty(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it."""
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)
            self.mounted = False
