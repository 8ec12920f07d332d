"""Every target there is."""

from __future__ import annotations

from . import files, journals, replies, urls
from .target import Target

TARGETS: dict[str, Target] = {
    target.name: target for module in (urls, replies, journals, files) for target in module.TARGETS
}
