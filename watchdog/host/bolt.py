"""A reader of bbolt files, the database in which containerd keeps what it knows of its blobs.

Law: it only reads, takes no lock, and believes only what one transaction
wrote.  The owner may write meanwhile: a page that is free for us to
read may be used again after the next commit.  So the transaction number is
compared before and after, and a view that raced with a commit is taken again.

The file: two meta pages, of which the newer valid one counts, name the page of
the root bucket.  A bucket is a B+tree of keys, whose values are bytes or
buckets again; small buckets are kept inside their value.
"""

from __future__ import annotations

import os
import struct
from typing import Callable, Dict, Iterator, Optional, Tuple, TypeVar, Union

from watchdog.errors import Unavailable

_View = TypeVar("_View")

_MAGIC = 0xED0CDAED
_META = struct.Struct("=IIIIQQQQQ")  # magic version page_size flags root sequence freelist pages transaction
_CHECKSUM = struct.Struct("=Q")
_PAGE = struct.Struct("=QHHI")  # number flags count overflow
_BRANCH_ELEMENT = struct.Struct("=IIQ")  # position key_size page
_LEAF_ELEMENT = struct.Struct("=IIII")  # flags position key_size value_size
_BUCKET = struct.Struct("=QQ")  # root sequence
_IS_BRANCH, _IS_LEAF, _HOLDS_BUCKET = 1, 2, 1
_FIRST_PAGE_BYTES = 4096
_MOST_PAGES = 20_000
_DEEPEST = 16  # a tree of that depth does not fit on any disk
_TRIES = 3


class Bucket:
    """Keys with their values, in the order of the keys.  Valid inside `view` only."""

    def __init__(self, file: _File, root: int, inline: bytes = b"") -> None:
        self._file = file
        self._root = root
        self._inline = inline

    def items(self) -> Iterator[Tuple[bytes, Union[bytes, Bucket]]]:
        """All entries."""
        return self._entries(self._inline if self._root == 0 else self._file.page(self._root))

    def buckets(self) -> Iterator[Tuple[str, Bucket]]:
        """The entries that are buckets."""
        return (
            (key.decode("utf-8", "replace"), value)
            for key, value in self.items()
            if isinstance(value, Bucket)
        )

    def values(self) -> Dict[str, bytes]:
        """The entries that are bytes."""
        return {
            key.decode("utf-8", "replace"): value for key, value in self.items() if isinstance(value, bytes)
        }

    def bucket(self, *path: str) -> Optional[Bucket]:
        """The bucket at the end of a path of names, or None."""
        here: Optional[Bucket] = self
        for name in path:
            here = dict(here.buckets()).get(name) if here is not None else None
        return here

    def _entries(self, page: bytes, depth: int = 0) -> Iterator[Tuple[bytes, Union[bytes, Bucket]]]:
        _, flags, count, _ = _PAGE.unpack_from(page)
        if flags & _IS_LEAF:
            yield from self._leaf(page, count)
        elif flags & _IS_BRANCH and depth < _DEEPEST:
            for index in range(count):
                child = _BRANCH_ELEMENT.unpack_from(page, _PAGE.size + index * _BRANCH_ELEMENT.size)[2]
                yield from self._entries(self._file.page(child), depth + 1)
        else:
            raise _TornError("a page that is neither branch nor leaf, or in a circle")

    def _leaf(self, page: bytes, count: int) -> Iterator[Tuple[bytes, Union[bytes, Bucket]]]:
        for index in range(count):
            element = _PAGE.size + index * _LEAF_ELEMENT.size
            flags, position, key_size, value_size = _LEAF_ELEMENT.unpack_from(page, element)
            begin = element + position
            key = page[begin : begin + key_size]
            value = page[begin + key_size : begin + key_size + value_size]
            if flags & _HOLDS_BUCKET:
                root, _ = _BUCKET.unpack_from(value)
                yield key, Bucket(self._file, root, value[_BUCKET.size :])
            else:
                yield key, value


def view(path: str, look: Callable[[Bucket], _View]) -> _View:
    """What `look` makes of the root bucket, all of it seen at one moment.

    Reads a disk: it takes as long as that takes.  Raises Unavailable when the
    file cannot be read, is damaged, or changes all the time.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
    try:
        for _ in range(_TRIES):
            file = _File(descriptor)
            try:
                seen = look(Bucket(file, file.root))
            except (struct.error, _TornError) as error:
                if file.unchanged():
                    raise Unavailable(f"{path} is damaged: {error}") from error
                continue
            if file.unchanged():
                return seen
        raise Unavailable(f"{path} changed each time it was read")
    except (struct.error, _TornError) as error:
        raise Unavailable(f"{path} is no bbolt file: {error}") from error
    finally:
        os.close(descriptor)


class _TornError(Exception):
    """The bytes make no sense: damaged, or overwritten while we read."""


class _File:
    """The pages, as the newest transaction left them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pages_read = 0
        first = os.pread(descriptor, _FIRST_PAGE_BYTES, 0)
        self._page_bytes = _META.unpack_from(first, _PAGE.size)[2]
        second = os.pread(descriptor, _FIRST_PAGE_BYTES, self._page_bytes)
        metas = [_META.unpack_from(page, _PAGE.size) for page in (first, second) if _is_valid_meta(page)]
        if not metas:
            raise _TornError("neither meta page is valid")
        newest = max(metas, key=lambda meta: int(meta[8]))
        self.root: int = newest[4]
        self._transaction: int = newest[8]

    def unchanged(self) -> bool:
        """Whether no transaction was committed since."""
        return _File(self._descriptor)._transaction == self._transaction

    def page(self, number: int) -> bytes:
        """A page with the pages that it flows over into."""
        self._pages_read += 1
        if self._pages_read > _MOST_PAGES:
            raise _TornError(f"more than {_MOST_PAGES} pages")
        offset = number * self._page_bytes
        if offset >= os.fstat(self._descriptor).st_size:
            raise _TornError(f"page {number} is behind the end")
        page = os.pread(self._descriptor, self._page_bytes, offset)
        overflow = _PAGE.unpack_from(page)[3]
        if overflow > _MOST_PAGES:
            raise _TornError(f"a page of {overflow} pages")
        return os.pread(self._descriptor, self._page_bytes * (overflow + 1), offset) if overflow else page


def _is_valid_meta(page: bytes) -> bool:
    end = _PAGE.size + _META.size
    if len(page) < end + _CHECKSUM.size or _META.unpack_from(page, _PAGE.size)[0] != _MAGIC:
        return False
    return bool(_CHECKSUM.unpack_from(page, end)[0] == _fnv1a(page[_PAGE.size : end]))


def _fnv1a(text: bytes) -> int:
    """The 64-bit FNV-1a hash with which bbolt guards its meta pages."""
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value
