"""A rendered tree in a folder of its own, for reading, review and other tools."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

from mailctl.errors import UsageError
from mailctl.host import Host
from mailctl.plan.stored import Manifest
from mailctl.tree import SECRET_MODE, Tree

MANIFEST = PurePosixPath("/mailctl-manifest.json")


def write_tree(folder: Host, tree: Tree) -> None:
    """Write `tree` below the root of `folder`, in place of an earlier render; owners go to the manifest only.

    Raises:
        UsageError: the folder holds something that is not an earlier render.
    """
    folder.make_directory(PurePosixPath("/"))
    _remove_earlier(folder)
    # First, so that a render cut short is known as one by the next.
    folder.create(MANIFEST, json.dumps(Manifest.of(tree).as_json(), indent=1).encode(), 0o644)
    for file in tree:
        folder.make_directory(file.path.parent)
        folder.create(file.path, file.content, SECRET_MODE if file.is_secret else file.mode)


def _remove_earlier(folder: Host) -> None:
    text = folder.read(MANIFEST)
    if text is None:
        if folder.list_directory(PurePosixPath("/")):
            where = folder.path(PurePosixPath("/"))
            raise UsageError(f"{where} is not empty and no earlier render", hint="name a new folder")
        return
    for path in _earlier_files(text):
        folder.remove(path)
    folder.remove(MANIFEST)


def _earlier_files(manifest: bytes) -> list[PurePosixPath]:
    try:
        paths = list(Manifest.from_json(json.loads(manifest)).entries)
        if any(".." in path.parts for path in paths):
            raise ValueError("a path climbs out of the folder")
        return paths
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{MANIFEST.name} there was not written by mailctl: {error}", hint="name a new folder"
        ) from error
