"""A model of a disk: which contents of a folder a crash may leave behind.

A file has the content of its last fsync. What was written since may be there, in part, or as zeros;
a file that was never synced may be empty. A folder has the names of its last fsync, and the changes
since then up to any of them. Names and contents are independent: a file may have its new name and
none of its content, which POSIX allows, and which ext4 does in rare cases.
"""

import itertools


class File:
    def __init__(self, content=b""):
        self.durable = content
        self.content = content
        # What was written since the last fsync: a position and bytes, or a length to cut to.
        self.pending = []

    def write(self, position, data):
        self.pending.append((position, data))
        self.content = apply(self.content, [(position, data)])

    def cut(self, length):
        self.pending.append((length, None))
        self.content = apply(self.content, [(length, None)])

    def sync(self):
        self.durable, self.pending = self.content, []

    def states(self):
        """The contents after a crash."""
        states = [apply(self.durable, self.pending[:count]) for count in range(len(self.pending) + 1)]
        if self.pending:
            *before, (position, data) = self.pending
            if data:
                torn = [data[: len(data) // 2], bytes(len(data))]
                states += [apply(self.durable, [*before, (position, part)]) for part in torn]
        return set(states)


def apply(content, changes):
    for position, data in changes:
        if data is None:
            content = content[:position].ljust(position, b"\0")
        else:
            content = content.ljust(position, b"\0")
            content = content[:position] + data + content[position + len(data) :]
    return content


class Folder:
    """A folder without folders in it."""

    def __init__(self, files):
        self.names = {name: File(content) for name, content in files.items()}
        self.durable = dict(self.names)
        # The changes of names since the last fsync: a name, and its file or `None`.
        self.pending = []

    def change(self, *changes):
        self.pending.append(changes)
        update(self.names, changes)

    def sync(self):
        self.durable, self.pending = dict(self.names), []

    def states(self):
        """What a crash may leave, each as a dictionary of names and contents."""
        found = []
        for count in range(len(self.pending) + 1):
            names = dict(self.durable)
            for changes in self.pending[:count]:
                update(names, changes)
            contents = [file.states() for file in names.values()]
            for combination in itertools.product(*contents):
                state = dict(zip(names, combination))
                if state not in found:
                    found.append(state)
        return found


def update(names, changes):
    for name, file in changes:
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file
