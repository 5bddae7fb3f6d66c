"""From a published certificate to a person's final record, on real Kafka, Triton, worker, desk and browser."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from observability import services
from playwright.async_api import Page, async_playwright
from web.shared import PASSWORD
from worker.worlds import RealWorld

from desk.console.conftest import CHROMIUM, QUIET
from desk.console.office import PANCREAS
from desk.console.person import READY
from stream.certificate import read_certificate
from stream.coding import CodedCertificate, CodedStatus, Modality, read_coded
from stream.embedded.kafka import KafkaServer
from stream.embedded.triton import TritonServer

ACCOUNT = """
from stream.database import open_database
from stream.desk.console.site import ROLES
from stream.settings import load
from stream.web import tables
from stream.web.people import People
from stream.web.users import Role
import sys
settings = load()
engine = open_database(settings.desk.database, settings.root / "desk.sqlite")
tables.make(engine)
People(engine, ROLES, 12, "desk").add("c1", sys.argv[1], frozenset({Role.CODER}), name="C1", own=True)
"""


@pytest.fixture
async def world(kafka_server: KafkaServer, triton_server: TritonServer, tmp_path: Path) -> AsyncIterator[RealWorld]:
    world = RealWorld(
        kafka_server, triton_server, tmp_path, CAUSA_DESK__BEAT_S="1", CAUSA_DESK__SECOND_SHARE="0",
        CAUSA_DESK__METRICS_PORT=str(services.free_port()),
    )  # fmt: skip
    try:
        await world.open()
        yield world
    finally:
        await world.close()


@contextmanager
def desk(world: RealWorld, folder: Path, name: str, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`causa desk` in a process of its own, once it is ready: its address, and the process."""
    log, out = folder / f"{name}.log", folder / f"{name}.out"
    with log.open("wb") as err, out.open("wb") as told:
        command = [sys.executable, "-m", "stream.cli.main", "desk", "--port", str(port)]
        process = subprocess.Popen(command, env=world._variables, cwd=folder, stdout=told, stderr=err)
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://\S+", out.read_text())):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        # Its pages are there before it has read the topics and fenced the sender before it: nobody is given work till then.
        while not httpx.get(f"{found[0]}/health/ready").json()["ready"]:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield found[0], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def records(world: RealWorld, certificate_id: str) -> list[CodedCertificate]:
    found = [read_coded(world.wire.decode("coded", written.value)) for written in world.results["coded"]]
    return [coded for coded in found if coded.certificate_id == certificate_id]


@pytest.mark.servers
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"there is no Chromium at {CHROMIUM}")
async def test_a_correction_becomes_the_final_record_and_a_killed_desk_loses_nothing(
    world: RealWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = {**os.environ, **world._variables}
    subprocess.run(  # noqa: ASYNC221 - nothing else runs yet
        [sys.executable, "-c", ACCOUNT, PASSWORD], env=env, cwd=tmp_path, check=True
    )
    # Homicide is on the policy's list of interest: a person sees it however sure the machine is.
    certificates = [
        read_certificate(
            {
                **PANCREAS,
                "certificate_id": f"H{n}",
                "manner": "HOMICIDE",
                "part1": ["plaie thoracique par arme blanche"],
                "part2": [],
            }
        )
        for n in range(3)
    ]
    await world.publish(world.record(c) for c in certificates)
    await world.start()
    took: list[float] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = await (await browser.new_context(locale="fr-FR")).new_page()
        with desk(world, tmp_path, "first") as (url, process):
            await page.goto(f"{url}/login")
            await page.fill("[name=login]", "c1")
            await page.fill("[name=password]", PASSWORD)
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/queue")
            for _ in range(100):
                if await page.query_selector("#tasks th button"):
                    break
                await page.wait_for_timeout(300)
                await page.reload()
            await page.keyboard.press("Enter")
            # One as proposed, one changed by the keys.
            await page.wait_for_selector(READY)
            await page.wait_for_timeout(400)
            first = (await page.inner_text(".which .mono")).strip()
            assert "règles seules" not in await page.inner_text("#cause")
            began = await _decided(page, "Enter")
            await _final(world, first)
            took.append(time.monotonic() - began)
            await page.wait_for_function("() => document.querySelector('.which .mono')?.textContent !== " + repr(first))
            await page.wait_for_selector(READY)
            await page.wait_for_timeout(400)
            second = (await page.inner_text(".which .mono")).strip()
            await page.keyboard.press("a")
            await page.wait_for_selector("#typed:focus")
            await page.keyboard.type("R57.1")
            await page.wait_for_selector("#hit-0")
            async with page.expect_response(lambda r: r.url.endswith("/edit")):
                await page.keyboard.press("Enter")
            process.kill()  # with a draft on the screen
            process.wait()
        with desk(world, tmp_path, "second") as (url, process):
            await page.goto(f"{url}/queue")
            if "/login" in page.url:
                await page.fill("[name=login]", "c1")
                await page.fill("[name=password]", PASSWORD)
                await page.keyboard.press("Enter")
                await page.wait_for_url("**/queue")
            await page.keyboard.press("Enter")
            await page.wait_for_selector(READY)
            await page.wait_for_timeout(400)
            assert (await page.inner_text(".which .mono")).strip() == second
            assert "R57.1" in await page.inner_text("#grid")
            await page.keyboard.press("Enter")
            await page.wait_for_selector("#why-change[open]")
            began = await _decided(page, "1")
            await _final(world, second)
            took.append(time.monotonic() - began)
            # What the panels are checked against is what a running process serves.
            metrics = int(world._variables["CAUSA_DESK__METRICS_PORT"])
            assert not await asyncio.to_thread(services.apart, metrics, "causa_desk", "causa_intake")
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        await browser.close()
    machine, human = records(world, second)
    assert (machine.modality is not Modality.HUMAN, machine.status) == (True, CodedStatus.PROVISIONAL)
    assert (human.modality, human.status, human.version) == (Modality.HUMAN, CodedStatus.FINAL, 1)
    assert "R57.1" in [entity.code for entity in human.entities()]
    assert len(records(world, first)) == 2
    assert await world.terminate() == 0
    for name in ("first", "second"):
        log = (tmp_path / f"{name}.log").read_text().casefold()
        assert "thoracique" not in log and "blanche" not in log
    with capsys.disabled():
        print(  # noqa: T201 - the figure that the documents tell
            f"\ncorrection to final record: {', '.join(f'{s:.2f} s' for s in took)}"
        )


async def _decided(page: Page, key: str) -> float:
    """Press the key that decides, and confirm where that is asked for; when it was pressed."""
    while True:
        began = time.monotonic()
        async with page.expect_response(lambda r: r.url.partition("?")[0].endswith("/decide")) as answer:
            await page.keyboard.press(key)
        if (await answer.value).ok:
            return began
        await page.wait_for_selector("#confirm[open]")
        key = "1"


async def _final(world: RealWorld, certificate_id: str) -> None:
    deadline = time.monotonic() + 60
    while not any(r.modality is Modality.HUMAN for r in records(world, certificate_id)):
        assert time.monotonic() < deadline, f"{certificate_id} has no final record"
        await world.poll()
