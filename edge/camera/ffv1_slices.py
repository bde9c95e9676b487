"""Whether an FFV1 picture is as it was written, by the checksums of its slices (RFC 9043, 4.9).

FFmpeg compares them, and fills a slice that is damaged from the picture before without telling: a cell would be seen twice.
"""

import zlib

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_FOOTER = 8
"""Bytes behind a slice with a checksum: 3 for its size, 1 for what its writer knew of damage, 4 for the checksum."""
_SEEDS = (0x00000000, 0x9E02315E)
"""What the register begins and ends with, mirrored: of version 3, and of version 4, which FFmpeg writes with 0x7A8C4079."""


def checksums_hold(packet: bytes) -> bool:
    """Whether the packet is a row of slices with checksums that all hold. Of slices without any it is False, too."""
    return any(_hold(packet, seed) for seed in _SEEDS)


def _hold(packet: bytes, seed: int) -> bool:
    end = len(packet)
    while end > 0:
        if end < _FOOTER:
            return False
        begin = end - _FOOTER - int.from_bytes(packet[end - _FOOTER : end - _FOOTER + 3], "big")
        if begin < 0 or _register(packet[begin:end], seed) != seed:
            return False
        end = begin
    return bool(packet)


def _register(content: bytes, seed: int) -> int:
    """CRC-32 with the highest bit first, as zlib computes it of mirrored bytes; neither end is inverted."""
    return zlib.crc32(content.translate(_REVERSED), seed ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
