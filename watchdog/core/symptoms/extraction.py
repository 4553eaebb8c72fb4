"""What goes wrong between a finished download and a mounted layer: the decompressor, the tar, the digests."""

from __future__ import annotations

import re
from typing import Tuple

from watchdog.core.symptoms.rule import Rule, words
from watchdog.core.symptoms.vocabulary import SymptomKind as Kind

_DECOMPRESS = (
    Rule(
        Kind.DECOMPRESS,
        "rt.decompressor_killed",
        ("signal: killed", "signal: terminated", "signal: aborted", "signal: segmentation"),
        matching=re.compile(r"error processing tar file|unpigz|pigz|gzip"),
    ),
    Rule(
        Kind.DECOMPRESS,
        "rt.decompressor_missing",
        ("no such file", "exec format error", "not found", "permission denied"),
        matching=re.compile(r"(?:exec|exec:|fork/exec)\W.*\b(?:unpigz|pigz|igzip|gzip|xz|zstd)\b"),
    ),
    Rule(
        Kind.DECOMPRESS,
        "rt.decompressor_failed",
        ("pigz: ", "gzip: ", "xz: ", "zstd: "),
        matching=re.compile(
            r"corrupt|skipping|abort|mismatch|invalid|unexpected|error|too short|not in|unsupported|checksum"
        ),
    ),
    Rule(
        Kind.DECOMPRESS,
        "rt.corrupt_stream",
        words(
            """
            corrupt input | crc32 mismatch | invalid deflate | zlib: | magic number mismatch
            magic mismatch
            """
        ),
    ),
    Rule(
        Kind.DECOMPRESS,
        "rt.decompressor_failed",
        ("decompress",),
        matching=re.compile(r"\b(?:fail|error|unable|cannot|corrupt)"),
    ),
)

_INTEGRITY = (
    Rule(
        Kind.INTEGRITY,
        "rt.truncated_tar",
        ("unexpected eof",),
        matching=re.compile(
            r"error processing tar file|register layer: |archive/tar|applylayer|extract layer|untar"
            r"|failed to unpack"
        ),
    ),
    Rule(Kind.INTEGRITY, "rt.truncated_tar", ("archive/tar:", "invalid tar header")),
    Rule(
        Kind.INTEGRITY,
        "rt.digest_mismatch",
        (
            *words(
                """
                filesystem layer verification failed | manifest verification failed
                image verification failed | verification failed for digest | content mismatch
                invalid digest, desired | could not verify layer data | failed size validation
                digest mismatch | match uploaded content | digest_invalid | size_invalid
                does not match digest | doesn't match digest | checksum mismatch | expectedmd5
                checksum does not match | invalid checksum | invalid diffid | wrong diff id
                mismatched image rootfs | size mismatch | unexpected size | content does not match digest
                did not match expected | did not match, expected | match the digest
                unexpected content digest | size validation failed | layer does not exist
                """
            ),
            "unexpected commit ",
        ),
    ),
    Rule(
        Kind.INTEGRITY,
        "rt.manifest_mismatch",
        ("don't match image configuration", "do not match image configuration"),
    ),
    Rule(
        Kind.INTEGRITY,
        "rt.content_missing",
        ("not found", "no such file"),
        matching=re.compile(
            r"content digest|content store|missing content|expected at .*blobs"
            r"|parent snapshot .* does not exist"
        ),
    ),
    Rule(
        Kind.INTEGRITY,
        "rt.mirror_wrong_upstream",
        ("unexpected media type", "unsupported media type"),
    ),
    Rule(Kind.INTEGRITY, "rt.metadata_truncated", ("unexpected end of json input",)),
    Rule(
        Kind.INTEGRITY,
        "rt.manifest_invalid",
        words(
            """
            manifest_invalid | manifest invalid | invalid manifest | mediatype in manifest
            unsupported manifest | unsupported mediatype | invalid rootfs | missing signature key
            """
        ),
    ),
)

RULES: Tuple[Rule, ...] = (*_DECOMPRESS, *_INTEGRITY)
