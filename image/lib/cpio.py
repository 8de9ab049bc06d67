# SPDX-License-Identifier: Apache-2.0
"""A writer of initramfs archives ("newc" cpio: Documentation/driver-api/early-userspace/
buffer-format.rst in Linux). The same tree gives the same bytes: members are sorted, owners are root,
times are fixed."""
import os
import stat

MTIME = 1700000000


class Archive:
    """Members are added in any order: files, folders and links, by their path in the guest."""

    def __init__(self):
        self.members = {}

    def folder(self, path, mode=0o755):
        path = path.strip("/")
        if path and path not in self.members:
            self.folder(os.path.dirname(path))
            self.members[path] = (stat.S_IFDIR | mode, b"")

    def file(self, path, data, mode=0o644):
        self.folder(os.path.dirname(path.strip("/")))
        self.members[path.strip("/")] = (stat.S_IFREG | mode, data)

    def link(self, path, target):
        self.folder(os.path.dirname(path.strip("/")))
        self.members[path.strip("/")] = (stat.S_IFLNK | 0o777, target.encode())

    def copy(self, source, path):
        """Copies a host's file, following links; keeps whether it is executable."""
        with open(source, "rb") as f:
            executable = os.stat(source).st_mode & 0o100
            self.file(path, f.read(), 0o755 if executable else 0o644)

    def tree(self, source):
        """Copies a whole folder to the guest's root, links as links."""
        for base, folders, names in os.walk(source):
            for name in folders + names:
                full = os.path.join(base, name)
                inside = os.path.relpath(full, source)
                if os.path.islink(full):
                    self.link(inside, os.readlink(full))
                elif os.path.isdir(full):
                    self.folder(inside)
                else:
                    self.copy(full, inside)

    def bytes(self):
        out = [_member(i + 1, name, *self.members[name])
               for i, name in enumerate(sorted(self.members))]
        return b"".join(out) + _member(0, "TRAILER!!!", 0, b"")


def _pad(data):
    return data + bytes(-len(data) % 4)


def _member(ino, name, mode, data):
    links = 2 if stat.S_ISDIR(mode) else 1
    raw = name.encode() + b"\0"
    fields = (ino, mode, 0, 0, links, MTIME, len(data), 0, 0, 0, 0, len(raw), 0)
    header = b"070701" + b"".join(b"%08x" % f for f in fields)
    return _pad(header + raw) + _pad(data)
