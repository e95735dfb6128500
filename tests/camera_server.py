"""RTSP cameras for tests, by GStreamer: `camera_server.py HOST:PORT NAME=FILE@FPS[@CODEC] …`

Runs in the system's Python (`gi` is a Debian package, gir1.2-gst-rtsp-server-1.0) and prints its port. FILE
is an Annex-B stream whose access units begin with delimiters, or JPEGs one after the other. Every client sees
the same moment of the looped file at the same time, from the next keyframe on, as with a camera; nothing is
encoded.
"""

import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

SOURCE = "appsrc name=src is-live=true format=time do-timestamp=true caps="
UNITS = "stream-format=byte-stream,alignment=au"
LAUNCH = {
    "h264": f"{SOURCE}video/x-h264,{UNITS} ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96",
    "h265": f"{SOURCE}video/x-h265,{UNITS} ! h265parse config-interval=-1 ! rtph265pay name=pay0 pt=96",
    "mjpeg": f"{SOURCE}image/jpeg ! jpegparse ! rtpjpegpay name=pay0 pt=26",
}
DELIMITER = {"h264": b"\x00\x00\x00\x01\x09", "h265": b"\x00\x00\x00\x01\x46\x01", "mjpeg": b"\xff\xd8\xff"}
STARTED_S = time.monotonic()


def pictures(data, codec):
    """Split a stream into access units."""
    mark = DELIMITER[codec]
    starts, at = [], data.find(mark)
    while at >= 0:
        starts.append(at)
        at = data.find(mark, at + 1)
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)])]


def is_key(unit, codec):
    """Whether decoding can begin here."""
    if codec == "h264":
        return b"\x00\x00\x01\x65" in unit or b"\x00\x00\x01\x25" in unit or b"\x00\x00\x01\x45" in unit
    if codec == "h265":
        return b"\x00\x00\x01\x26" in unit or b"\x00\x00\x01\x28" in unit or b"\x00\x00\x01\x40" in unit
    return True


class Camera(GstRtspServer.RTSPMediaFactory):
    """One looped file."""

    def __init__(self, path, fps, codec):
        super().__init__()
        with open(path, "rb") as file:
            self.units = pictures(file.read(), codec)
        self.keys = [is_key(unit, codec) for unit in self.units]
        self.fps, self.codec = fps, codec
        self.set_launch(f"( {LAUNCH[codec]} )")
        self.connect("media-configure", self.configure)

    def configure(self, _factory, media):
        source = media.get_element().get_child_by_name("src")
        state = {"next": None, "over": False}
        media.connect("unprepared", lambda _media: state.update(over=True))

        def push():
            if state["over"]:
                return False
            now = int((time.monotonic() - STARTED_S) * self.fps)
            if state["next"] is None:
                if not self.keys[now % len(self.units)]:
                    return True
                state["next"] = now
            while state["next"] <= now:
                unit = self.units[state["next"] % len(self.units)]
                if source.emit("push-buffer", Gst.Buffer.new_wrapped(unit)) != Gst.FlowReturn.OK:
                    return False
                state["next"] += 1
            return True

        GLib.timeout_add(max(5, round(400 / self.fps)), push)


def main():
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    host, _, port = sys.argv[1].rpartition(":")
    server.set_address(host)
    server.set_service(port)
    for spec in sys.argv[2:]:
        name, _, rest = spec.partition("=")
        path, fps, *codec = rest.split("@")
        server.get_mount_points().add_factory(
            f"/{name}", Camera(path, float(fps), codec[0] if codec else "h264")
        )
    server.attach(None)
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
