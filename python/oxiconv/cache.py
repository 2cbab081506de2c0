"""Where downloaded files are kept between runs."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    r"""The folder of downloaded data; it need not exist yet.

    The environment variable `OXICONV_HOME` names it; without that it is the platform's own place for caches:
    `$XDG_CACHE_HOME/oxiconv` or `~/.cache/oxiconv`, `~/Library/Caches/oxiconv` on macOS,
    `%LOCALAPPDATA%\\oxiconv\Cache` on Windows.

    >>> cache_folder().is_absolute()
    True
    """
    if home := os.environ.get("OXICONV_HOME"):
        return Path(home).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "oxiconv"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "oxiconv" / "Cache"
    # The XDG specification: a relative path is invalid and to be ignored.
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".cache") / "oxiconv"
