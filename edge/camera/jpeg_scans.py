"""What a JPEG file says of itself, held against what is in it: every scan it needs, no holes, and a second decoder's word.

Layout: ITU-T T.81, annex B; what a progressive picture needs: annex G.
"""

import re
from collections.abc import Iterator
from typing import Any

START = b"\xff\xd8"
_SCAN, _END, _TABLES, _COMMENT = 0xDA, 0xD9, 0xC4, 0xFE
_BASELINE, _PROGRESSIVE = frozenset({0xC0, 0xC1}), 0xC2
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""Within a scan 0xFF is stuffed or a restart: any other marker ends it."""
_APPLICATION = range(0xE0, 0xF0)
_HOLE_BYTES, _HOLE_IN_BITS = 64, 192
"""Zeros that no encoder writes in a row: in codes, and in the bits of a refined scan (libjpeg keeps at most 1000)."""
_FREQUENCIES = 64


def segments(content: bytes, *, to_the_end: bool = False) -> Iterator[tuple[int, int, bytes]]:
    """Kind, offset and content of each segment before the first scan, or all with the scans' headers."""
    at = len(START)
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != _END:
        marker = content[at + 1]
        if marker == _SCAN and not to_the_end:
            return
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        yield marker, at + 4, content[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == _SCAN:
            found = _MARKER.search(content, at)
            if found is None:
                return
            at = found.start()


def end_of_picture(content: bytes, start: int = 0) -> int | None:
    """Where the picture that begins at `start` ends, just behind its end marker; None when it has none.

    Segments are stepped over by their length, because an embedded thumbnail has an end marker of its own.
    """
    at = start + len(START)
    while at + 2 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == _END:
            return at + 2
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == _SCAN:
            found = _MARKER.search(content, at)
            if found is None:
                return None
            at = found.start()
    return None


def fault_of_scans(content: bytes) -> str:
    """What is wrong with the scans of a picture that has an end; empty when nothing is."""
    n_scans, kind = 0, 0
    bits: dict[int, list[int]] = {}
    """For each component how many low bits of each frequency are still to come; -1: nothing came yet."""
    first_symbols: dict[int, int] = {}
    for marker, at, segment in segments(content, to_the_end=True):
        if marker in _BASELINE or marker == _PROGRESSIVE:
            kind = marker
            bits = {number: [-1] * _FREQUENCIES for number in segment[6::3]}
        elif marker == _TABLES:
            first_symbols.update(_shortest_codes(segment))
        elif marker == _SCAN and segment:
            n_scans += 1
            n = segment[0]
            if len(segment) < 4 + 2 * n:
                return f"the header of its scan {n_scans} is damaged"
            first, last, steps = segment[1 + 2 * n : 4 + 2 * n]
            for number in segment[1 : 1 + 2 * n : 2]:
                if number in bits:
                    whole = kind != _PROGRESSIVE
                    band = slice(0, _FREQUENCIES) if whole else slice(first, last + 1)
                    bits[number][band] = [0 if whole else steps & 15] * len(bits[number][band])
            is_refined = kind == _PROGRESSIVE and steps >> 4 > 0
            if _has_hole(content, at + len(segment), first_symbols, is_refined, first):
                return "a run of zeros lies in its picture"
    if kind and any(left for lefts in bits.values() for left in lefts):
        return f"it ends after scan {n_scans}, before the last one"
    return ""


def _has_hole(content: bytes, at: int, first_symbols: dict[int, int], is_refined: bool, first: int) -> bool:
    """Whether zeros lie in a scan where no encoder writes them: a decoder may find as many blocks in them as were lost.

    Zeros in a row mean blank blocks only where the shortest code of every table is "as before" (DC) and "end of block" (AC), as
    tables made for one picture may be; with the usual tables they mean blocks with every coefficient at -1. A refined scan has
    bits as they are: those of means (DC) may all be zero.
    """
    if is_refined and first == 0:
        return False
    hole = content.find(bytes(_HOLE_IN_BITS if is_refined else _HOLE_BYTES), at)
    if hole < 0:
        return False
    end = _MARKER.search(content, at)
    if end is not None and hole > end.start():
        return False
    return is_refined or any(symbol != 0 for symbol in first_symbols.values()) or not first_symbols


def _shortest_codes(segment: bytes) -> Iterator[tuple[int, int]]:
    """Each Huffman table of a segment, and what its shortest code, which is all zeros, stands for."""
    table = 0
    while table + 17 < len(segment):
        yield segment[table], segment[table + 17]
        table += 17 + sum(segment[table + 1 : table + 17])


def fault_by_ffmpeg(content: bytes) -> str:
    """What a second decoder says: libjpeg overlooks a block that goes on behind its last coefficient. Empty when nothing.

    What is about the picture (cameras write it in many ways) is left out. Where PyAV is missing nothing is said.
    """
    try:
        import av  # noqa: PLC0415 - a library of its own, which folders of other formats do without
    except ImportError:
        return ""
    av.logging.set_level(None)
    decoder: Any = av.CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
    try:
        frames = decoder.decode(av.Packet(_bare(content)))
        frames += decoder.decode(None)
    except av.InvalidDataError as problem:
        return problem.strerror or "its codes are damaged"
    except (av.FFmpegError, ValueError):
        return ""  # a kind of JPEG that it does not know
    return "its codes are damaged" if any(frame.is_corrupt for frame in frames) else ""


def _bare(content: bytes) -> bytes:
    """A picture without what applications have added."""
    parts, kept = [START], len(START)
    for marker, at, segment in segments(content):
        if marker in _APPLICATION or marker == _COMMENT:
            parts.append(content[kept : at - 4])
            kept = at + len(segment)
    return b"".join([*parts, content[kept:]])
