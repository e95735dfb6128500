"""What operators said, as clips to learn from: what they answered, and what they reported."""

from jikimi.feedback.choosing import REASONS, Choice, Chosen, Reason, choose
from jikimi.feedback.exporting import Exported, export

__all__ = ["REASONS", "Choice", "Chosen", "Exported", "Reason", "choose", "export"]
