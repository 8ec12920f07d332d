"""Every clause of the twelve laws of ``docs/design.md``, and what takes it away."""

from __future__ import annotations

from laws.laws_1_2 import LAWS_1_2
from laws.laws_3_5 import LAWS_3_5
from laws.laws_6_8 import LAWS_6_8
from laws.laws_9_12 import LAWS_9_12

REMOVALS = (*LAWS_1_2, *LAWS_3_5, *LAWS_6_8, *LAWS_9_12)
