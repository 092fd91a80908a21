"""What a command that has ended may lose in a power failure.

A file needs an fsync after its last change, and a folder one after the last name that appeared in it.
"""

import os
import re
from pathlib import Path

import trace

CHANGES = ("write", "pwrite64", "writev", "sendfile", "copy_file_range", "ftruncate")


def lost(command, folder, output, environment, unsynced=(), use=None):
    """Runs a command in a folder, and `use` meanwhile; returns the paths below the folder that a crash may
    take, with the reason.

    The contents of the unsynced paths were written before, by a process that was killed.
    """
    root = str(folder.resolve())
    paths, contents, names = {}, {os.path.join(root, path) for path in unsynced}, set()

    def absolute(text):
        return os.path.normpath(os.path.join(root, os.fsdecode(text)))

    for call, arguments, texts, result in trace.run(command, folder, output, environment, use):
        first = int(number[0]) if (number := re.match(r"\d+", arguments)) else None
        if call == "openat":
            paths[result] = absolute(texts[0])
            if "O_CREAT" in arguments:
                names.add(paths[result])
        elif call == "close":
            paths.pop(first, None)
        elif call in ("dup", "dup2", "dup3") or call == "fcntl" and "F_DUPFD" in arguments:
            paths[result] = paths.get(first, "")
        elif call in ("mkdir", "mkdirat"):
            names.add(absolute(texts[0]))
        elif call in ("rename", "renameat", "renameat2", "link", "linkat"):
            old, new = map(absolute, texts)

            def moved(path):
                return new + path[len(old) :] if path == old or path.startswith(old + "/") else path

            paths = {number: moved(path) for number, path in paths.items()}
            contents, names = set(map(moved, contents)), {*map(moved, names), new}
        elif first in paths and call in CHANGES:
            contents.add(paths[first])
        elif first in paths and call in ("fsync", "fdatasync"):
            contents.discard(paths[first])
            names = {name for name in names if os.path.dirname(name) != paths[first]}

    def found(all_paths):
        inside = (Path(path) for path in sorted(all_paths) if path.startswith(root + "/"))
        return [path.relative_to(root) for path in inside if path.exists()]

    return [f"the content of {path}" for path in found(contents)] + [f"the name {path}" for path in found(names)]
