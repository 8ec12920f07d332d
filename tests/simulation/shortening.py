"""The shortest story that still breaks the promise."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from simulation.playing import play
from simulation.scale import scaled
from simulation.story import Story


def shortest(story: Story) -> Story:
    """Take away whatever the violation does not need."""
    with tempfile.TemporaryDirectory(prefix="cfupload-sim-") as name, scaled():
        folder = Path(name)
        shorter: Story | None = story
        while shorter is not None:
            story = shorter
            shorter = next((one for one in _shorter(story) if play(one, folder)[0]), None)
    return story


def _shorter(story: Story) -> Iterator[Story]:
    acts = story.acts
    for n, act in enumerate(acts):
        yield replace(story, acts=acts[:n] + acts[n + 1 :])
        simpler = [replace(act, edit="")] if act.edit else []
        simpler += [replace(act, wait=0.0)] if act.wait else []
        if len(act.commands) > 1:
            simpler += [replace(act, commands=(name,)) for name in act.commands]
        for m, disaster in enumerate(act.disasters):
            before, after = act.disasters[:m], act.disasters[m + 1 :]
            simpler.append(replace(act, disasters=before + after))
            if disaster.times != 1:
                once = replace(disaster, times=1)
                simpler.append(replace(act, disasters=(*before, once, *after)))
        for one in simpler:
            yield replace(story, acts=(*acts[:n], one, *acts[n + 1 :]))
    for name in story.switches:
        fewer = {key: value for key, value in story.switches.items() if key != name}
        yield replace(story, switches=fewer)
    if story.shared_host:
        yield replace(story, shared_host=False)
    if story.end != "send":
        yield replace(story, end="send")
