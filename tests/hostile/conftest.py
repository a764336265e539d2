"""The process from which the runs are forked: one for each worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.processes.server import COMMAND, Server, serving

from .case import written
from .harness import surroundings
from .tour import TOUR, planned
from .wire import plain


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("rehearsal")
    arguments, _ = planned(written(plain())(folder), folder)
    with serving(surroundings(folder), [[TOUR, *arguments], [COMMAND, "--version"]]) as found:
        yield found
