"""Picture health: is this camera offline, frozen, dark, covered, out of focus, moved, late or damaged?"""

from jikimi.watch.health.monitor import HealthMonitor
from jikimi.watch.health.settings import HealthSettings, Rule
from jikimi.watch.health.torn import is_torn
from jikimi.watch.health.words import HealthChange, HealthKind

__all__ = ["HealthChange", "HealthKind", "HealthMonitor", "HealthSettings", "Rule", "is_torn"]
