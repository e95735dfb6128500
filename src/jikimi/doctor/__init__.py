"""The doctor: what this machine has, what the site needs, and what to do about what is wrong.

It looks and never changes anything that a site keeps; nothing secret is in what it finds.
"""

from jikimi.doctor.examining import examine
from jikimi.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "examine"]
