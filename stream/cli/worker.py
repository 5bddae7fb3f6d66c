"""`causa worker`: the streaming worker."""

from __future__ import annotations

import asyncio
from typing import Annotated

import structlog
import typer

from stream import log
from stream.embedded.servers import Embedded
from stream.errors import CausaError
from stream.settings import load


def command(
    group: Annotated[str, typer.Option(help="Consumer group, where it is not that of the settings.")] = "",
) -> None:
    """Code certificates from Kafka until SIGTERM or Ctrl-C; what is nearly coded is finished first (at most 20 s).

    Start as many as there are partitions, on as many machines as you like: each takes its share.
    Examples: `causa worker`, `CAUSA_WORKER__BATCH_MAX=128 causa worker`

    Exit status: 0 all that was finished was delivered; 1 some was not and will be read again; 2 settings.
    """
    settings = load()
    if group:
        settings.worker.group = group
    log.configure(settings.log_level, settings.log_format)
    endpoints = Embedded(settings).endpoints()
    # Faust is imported here: it costs a second that no other command should pay.
    from stream.worker.app import Worker, leave

    async def work() -> None:
        try:
            status = await Worker(settings, endpoints.bootstrap, endpoints.triton).run()
        except CausaError:
            raise
        except Exception as error:  # its message and its traceback may quote a certificate: the log shows neither
            structlog.get_logger("causa.worker").error("worker crashed", exc_info=error)
            status = 1
        # Left from inside the coroutine: behind it asyncio.run waits for every task, and the interpreter for Faust's
        # threads, which know no deadline when the broker hangs. Nothing is lost by it: what is delivered is
        # acknowledged by now, and what is not will be read again.
        leave(status)

    asyncio.run(work())
