"""Open, decode, remux: the only importer of `av` (FFmpeg)."""

from av.container import InputContainer

from jikimi.video.blackening import blacken
from jikimi.video.evidence import EvidenceFile, StoredPacket, StreamCopy, check_evidence, length_s
from jikimi.video.fragments import recover
from jikimi.video.joining import Joined, Piece, join
from jikimi.video.moments import frames_until
from jikimi.video.reading import (
    MAX_JUMP_S,
    MEDIA_ERRORS,
    Decoder,
    DecodeReport,
    Packet,
    Scaler,
    StreamClock,
    VideoInfo,
    can_decode,
    frame_ticks,
    info,
    iter_packets,
    open_input,
    read_frames,
    reason,
)
from jikimi.video.stills import still, strip
from jikimi.video.writing import VideoWriter

__all__ = [
    "MAX_JUMP_S",
    "MEDIA_ERRORS",
    "DecodeReport",
    "Decoder",
    "EvidenceFile",
    "InputContainer",
    "Joined",
    "Packet",
    "Piece",
    "Scaler",
    "StoredPacket",
    "StreamClock",
    "StreamCopy",
    "VideoInfo",
    "VideoWriter",
    "blacken",
    "can_decode",
    "check_evidence",
    "frame_ticks",
    "frames_until",
    "info",
    "iter_packets",
    "join",
    "length_s",
    "open_input",
    "read_frames",
    "reason",
    "recover",
    "still",
    "strip",
]
