"""A network cable that can be cut: a namespace with a camera in it, whose packets can be dropped."""

import shutil
import subprocess
from dataclasses import dataclass, field

_NAME = "jikimi-camera"
_HERE, _THERE = "10.213.7.1", "10.213.7.2"


def _ip(*words: str, check: bool = True) -> int:
    return subprocess.run(["ip", *words], check=check, capture_output=True).returncode


def cable_possible() -> bool:
    """Whether this machine lets us make one."""
    if shutil.which("ip") is None or shutil.which("tc") is None:
        return False
    made = _ip("netns", "add", f"{_NAME}-probe", check=False) == 0
    if made:
        _ip("netns", "del", f"{_NAME}-probe")
    return made


@dataclass
class Cable:
    """A veth pair; the camera's end is in a namespace of its own. Cut, packets are dropped silently."""

    host: str = _THERE
    command: tuple[str, ...] = field(default=("ip", "netns", "exec", _NAME))

    def __post_init__(self) -> None:
        self.remove()
        _ip("netns", "add", _NAME)
        _ip("link", "add", "jikimi0", "type", "veth", "peer", "name", "jikimi1")
        _ip("link", "set", "jikimi1", "netns", _NAME)
        _ip("addr", "add", f"{_HERE}/24", "dev", "jikimi0")
        _ip("link", "set", "jikimi0", "up")
        _ip("-n", _NAME, "addr", "add", f"{_THERE}/24", "dev", "jikimi1")
        _ip("-n", _NAME, "link", "set", "jikimi1", "up")
        _ip("-n", _NAME, "link", "set", "lo", "up")

    def cut(self) -> None:
        """Drop every packet, both ways."""
        subprocess.run(["tc", "qdisc", "replace", "dev", "jikimi0", "root", "blackhole"], check=True)
        there = ["tc", "qdisc", "replace", "dev", "jikimi1", "root", "blackhole"]
        subprocess.run([*self.command, *there], check=True)

    def mend(self) -> None:
        """Let them through again."""
        subprocess.run(["tc", "qdisc", "del", "dev", "jikimi0", "root"], check=True)
        subprocess.run([*self.command, "tc", "qdisc", "del", "dev", "jikimi1", "root"], check=True)

    def remove(self) -> None:
        """Take it away."""
        _ip("netns", "del", _NAME, check=False)
        _ip("link", "del", "jikimi0", check=False)
