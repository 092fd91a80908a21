"""The file operations of a program, as strace sees them, applied to a model of its folder."""

import os
import re
import subprocess
from pathlib import Path

from disk import File

CALLS = (
    "openat,close,dup,dup2,dup3,fcntl,lseek,write,pwrite64,writev,ftruncate,truncate,fsync,fdatasync,"
    "rename,renameat,renameat2,unlink,unlinkat,link,linkat,sendfile,copy_file_range,mkdir,mkdirat"
)
# What a program may do that the model does not know.
UNKNOWN_WRITES = {"writev", "sendfile", "copy_file_range"}
UNKNOWN_NAMES = {"truncate", "link", "linkat", "mkdir", "mkdirat"}
LINE = re.compile(r"^(?P<pid>\d+) +(?P<rest>.*)$")
CALL = re.compile(r"^(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?)")
CLOSE = re.compile(r"^close\((\d+)")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


class Unknown(Exception):
    """An operation that the model does not have."""


def run(command, folder, output, environment, use=None):
    """Runs a command in a folder under strace, and `use` meanwhile, with the id of strace.

    Yields (name, arguments, texts, result).
    """
    strace = ["strace", "-f", "-qq", "-xx", "-s", "100000000", "-e", f"trace={CALLS}", "-o", output]
    messages = folder.parent / "messages"
    with open(messages, "w+", encoding="utf-8") as file:
        process = subprocess.Popen(
            [*strace, *command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
        try:
            if use:
                use(process.pid)
            code = process.wait(60)
        finally:
            process.kill()
    if code != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {code}\n{messages.read_text()}")
    begun = {}
    for line in open(output, encoding="ascii"):
        match = LINE.match(line)
        pid, rest = match["pid"], match["rest"]
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest.removesuffix("<unfinished ...>").rstrip()
            if closed := CLOSE.match(rest):
                # Another thread may get the same number before this line is complete.
                yield "close", closed[1], [], 0
            continue
        if resumed := re.match(r"^<\.\.\. \w+ resumed>(.*)$", rest):
            rest = begun.pop(pid) + resumed[1]
            if CLOSE.match(rest):
                continue
        if call := CALL.match(rest):
            texts = [bytes.fromhex(text.replace("\\x", "")) for text in TEXT.findall(call["arguments"])]
            if call["result"] != "?" and int(call["result"]) >= 0:
                yield call["name"], call["arguments"], texts, int(call["result"])


def traced(strace):
    """The process that strace runs, once it does."""
    [child] = Path(f"/proc/{strace}/task/{strace}/children").read_text(encoding="ascii").split()
    return int(child)


class Descriptor:
    def __init__(self, file, appends):
        self.file, self.appends, self.position = file, appends, 0


def replay(calls, folder, model):
    """Applies calls to the model; yields after each one that changes it."""
    open_files = {}

    def name_of(path):
        path = os.path.join(folder, os.fsdecode(path))
        return os.path.basename(path) if os.path.realpath(os.path.dirname(path)) == str(folder) else None

    for call, arguments, texts, result in calls:
        first = int(number[0]) if (number := re.match(r"\d+", arguments)) else None
        if call == "openat":
            path = os.path.join(folder, os.fsdecode(texts[0]))
            open_files.pop(result, None)
            if os.path.realpath(path) == str(folder):
                open_files[result] = model
            elif name := name_of(texts[0]):
                if name not in model.names and "O_CREAT" in arguments:
                    model.change((name, File()))
                    yield call, name
                file = model.names[name]
                open_files[result] = Descriptor(file, "O_APPEND" in arguments)
                if "O_TRUNC" in arguments and file.content:
                    file.cut(0)
                    yield call, name
        elif call == "close":
            open_files.pop(first, None)
        elif call in ("rename", "renameat", "renameat2"):
            old, new = name_of(texts[0]), name_of(texts[1])
            if old and new:
                model.change((old, None), (new, model.names[old]))
                yield call, new
            elif old or new:
                raise Unknown(f"{call} across folders")
        elif call in ("unlink", "unlinkat"):
            if name := name_of(texts[0]):
                model.change((name, None))
                yield call, name
        elif call in UNKNOWN_NAMES and any(map(name_of, texts)):
            raise Unknown(f"{call}({arguments[:80]})")
        elif first in open_files:
            opened = open_files[first]
            if call in UNKNOWN_WRITES:
                raise Unknown(f"{call}({arguments[:80]})")
            if call in ("dup", "dup2", "dup3") or call == "fcntl" and "F_DUPFD" in arguments:
                open_files[result] = opened
            elif call in ("fsync", "fdatasync"):
                (opened if opened is model else opened.file).sync()
                yield call, ""
            elif call == "lseek":
                opened.position = result
            elif call == "write":
                position = len(opened.file.content) if opened.appends else opened.position
                opened.file.write(position, texts[0][:result])
                opened.position = position + result
                yield call, ""
            elif call == "pwrite64":
                opened.file.write(int(arguments.rsplit(",", 1)[1]), texts[0][:result])
                yield call, ""
            elif call == "ftruncate":
                opened.file.cut(int(arguments.rsplit(",", 1)[1]))
                yield call, ""
