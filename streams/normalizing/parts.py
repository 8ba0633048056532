"""The parts of one running normalizer, joined: what they ask of each other passes here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

import structlog

from deadletter.breaker_file import load_breaker_policy
from deadletter.breakers import Breakers
from deadletter.envelope import DeadLetter
from deadletter.held import HeldRecord, HoldKey, RecordPlace, Request
from deadletter.hold_policy import load_hold_policy
from deadletter.holds import Holds
from deadletter.ports import Fail
from deadletter.router import Router
from deadletter.verdicts import Verdict
from schemas.topics import NORMALIZER
from streams.answering.reply import dead_reply
from streams.app import create_app
from streams.normalizing.concluding import Concluder
from streams.normalizing.context import AccountContext, Asked, ContextChanges
from streams.normalizing.endings import Endings
from streams.normalizing.intake import Intake
from streams.normalizing.intake_metrics import IntakeMetrics
from streams.normalizing.intake_store import IntakeChanges, IntakeStore, Taken
from streams.normalizing.normalize import Normalizer
from streams.normalizing.outlet import Outlet
from streams.normalizing.positions import Positions
from streams.normalizing.progress import Place, Progress
from streams.normalizing.releases import Releases
from streams.normalizing.resolve import RefRow
from streams.normalizing.store_thread import StoreThread
from streams.pipeline import CHANNELS
from streams.reading.intent import PlanAliases, PlanNames
from streams.transport import Batch, BatchConsumer
from tierline.kit.clock import Clock
from tierline.kit.database import connect
from tierline.kit.faults import named, places
from tierline.kit.health import Health
from tierline.kit.leases import LeaseLost
from tierline.kit.pace import Pace
from tierline.kit.partition_watch import PartitionWatch
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.kit.telemetry import Metrics
from tierline.kit.version import APP_VERSION

_BEAT_S = 1.0
_GATHER_MS = 2
_BUSY_S = 0.005
_IDLE_S = 0.05

Result = TypeVar("Result")

_log = structlog.get_logger(__name__)


class Parts:
    """What one normalizer consists of; ``app`` is the Faust app that drives it."""

    def __init__(
        self,
        settings: Settings,
        schema_id: int,
        catalog: PlanAliases,
        metrics: Metrics,
        health: Health,
        watch: PartitionWatch,
        clock: Clock,
        fail: Fail,
    ) -> None:
        self._health = health
        connected = partial(connect, settings.database_url, NORMALIZER)
        self._fail = fail
        self._store = IntakeStore(NORMALIZER, connected)
        self._thread = StoreThread(self._store)
        self._outlet = Outlet(settings.kafka, NORMALIZER)
        progress = Progress()
        wait_ms = settings.unknown_account_wait_ms
        self._context = AccountContext(
            self._look_up,
            capacity=settings.context_cache_size,
            unknown_ms=wait_ms,
            now_ms=self._thread.present_ms,
        )
        self._breakers = Breakers(
            load_breaker_policy(settings.breaker_policy),
            app_version=APP_VERSION,
            now_ms=clock.now_ms,
            metrics=metrics,
            watch=watch,
        )
        self._breakers_asked = asyncio.Event()
        self._holds = Holds(load_hold_policy(settings.hold_policy), clock.now_ms)
        self._router = Router(
            outlet=self._outlet,
            verdicts=self,
            keeper=self._holds,
            answer=partial(_reply, clock),
            fail=fail,
            metrics=metrics,
        )
        counted = IntakeMetrics(metrics)
        concluder = Concluder(
            channels={c.topic.name: (c, PlanNames(catalog, c.name)) for c in CHANNELS.values()},
            command=Normalizer(
                schema_id,
                tenant_id=settings.tenant_id,
                livemode=settings.livemode,
                app_version=APP_VERSION,
                partitions=settings.kafka.partitions,
                decide_within_ms=settings.marketplace.decide_within_ms,
            ).command,
            router=self._router,
            gate=self._breakers,
            endings=Endings(
                app_version=APP_VERSION,
                now_ms=clock.now_ms,
                decide_within_ms=settings.marketplace.decide_within_ms,
            ),
            metrics=counted,
        )
        self._intake = Intake(
            concluder=concluder,
            context=self._context,
            router=self._router,
            holds=self._holds,
            breakers=self._breakers,
            progress=progress,
            outlet=self._outlet,
            store=self._thread,
            gates=self,
            unknown_account_wait_ms=wait_ms,
            metrics=counted,
        )
        self._releases = Releases(
            holds=self._holds,
            concluder=concluder,
            context=self._context,
            router=self._router,
            desk=self,
            outlet=self._outlet,
            metrics=counted,
            room_made=self._intake.room_made,
        )
        self._positions = Positions(
            consumer=NORMALIZER,
            store=self._store,
            thread=self._thread,
            progress=progress,
            work=self,
            watch=watch,
            fail=fail,
        )
        loop = asyncio.get_running_loop()
        self._changes = ContextChanges(
            connected,
            changed=lambda refs: loop.call_soon_threadsafe(self._context_changed, refs),
            asked=lambda: loop.call_soon_threadsafe(self._people_asked),
            lost=lambda: loop.call_soon_threadsafe(self._context_lost),
        )
        self.app = create_app(
            settings.kafka,
            group=NORMALIZER,
            topics=[c.topic.name for c in CHANNELS.values()],
            owner=self._positions,
            handle=self._take,
            pace=Pace(settings.turn_every_ms, _GATHER_MS),
        )

    @contextlib.asynccontextmanager
    async def helpers(self) -> AsyncIterator[None]:
        """What runs beside the app, for as long as the block."""
        tasks = [
            asyncio.create_task(self._guarded(work), name=name)
            for name, work in (
                ("heartbeat", self._beat()),
                ("answers", self._serve_answers()),
                ("dead letters", self._router.run()),
                ("parked records", self._intake.watch()),
                ("held records", self._releases.run()),
                ("breakers", self._serve_breakers()),
                ("positions", self._positions.keep_saving()),
                ("lag", self._positions.keep_telling(self._tell)),
            )
        ]
        self._changes.start()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(self._changes.stop)
            self._outlet.close()
            self._thread.close()

    # --- what the parts ask of each other -----------------------------------------------------------------

    def unsettled(self) -> bool:
        """Whether answers are still to come for what was sent or is about to be."""
        return bool(self._outlet.unanswered or self._router.waiting)

    def taken_over(self, taken: Taken) -> None:
        """What is known about partitions that were taken over."""
        self._intake.remember(taken.verdicts, taken.held_again, taken.skipped_again)
        self._breakers.load(taken.breakers)
        self._breakers_asked.set()
        self._holds.load(taken.holds)
        self._releases.tell_held(taken.untold)
        self._releases.anything_changed()

    def changes(self) -> IntakeChanges:
        """What is to be stored with the positions."""
        return IntakeChanges(self._holds.take_changes(), self._breakers.take_changes())

    def stored(self, changes: IntakeChanges) -> None:
        """``changes`` are durable."""
        self._holds.committed(changes.holds)
        self._releases.tell_held(changes.holds.held)

    def given_up(self) -> None:
        """Forget what belongs to partitions that were given up."""
        self._intake.given_up()
        self._releases.given_up()
        self._breakers.drop()
        self._router.forget()

    async def write(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict | None]:
        """Store verdicts (see ``deadletter.ports.VerdictStore``); the breakers that counted them first."""
        if self._breakers.pressing:
            await self._positions.save()
        return await self._leased(self._store.write_verdicts, verdicts)

    async def wave(self, wanted: Mapping[HoldKey, int]) -> list[HeldRecord]:
        """Held records that are due (see ``releases.HoldDesk``)."""
        return await self._leased(self._store.wave, wanted)

    async def begin(self, places: Sequence[RecordPlace]) -> None:
        """Held records are about to go (see ``releases.HoldDesk``)."""
        await self._leased(self._store.begin, places)

    async def requests(self) -> list[Request]:
        """What people asked (see ``releases.HoldDesk``)."""
        return await self._leased(self._store.requests)

    def pause(self, place: Place) -> None:
        """Read no more of a partition (see ``intake.Gates``)."""
        self._batches.pause_place(place)

    def resume(self, place: Place) -> None:
        """Read a partition again (see ``intake.Gates``)."""
        self._batches.resume_place(place)

    @property
    def _batches(self) -> BatchConsumer:
        return cast("BatchConsumer", self.app.consumer)

    async def _look_up(self, asked: Collection[Asked]) -> Iterable[RefRow]:
        return await self._leased(self._store.look_up, asked)

    async def _leased(self, step: Callable[..., Result], *arguments: object) -> Result:
        """The result of a step that checks our leases; the process ends where another one has them."""
        try:
            return await self._thread.call(step, *arguments)
        except LeaseLost as error:
            self._fail(f"another process works on our partitions: {error}")

    async def _take(self, batch: Batch) -> None:
        try:
            await self._intake.take(batch)
        except Exception as error:  # noqa: BLE001 - Faust would count the batch as done and go on
            _log.critical(
                "batch_met_a_bug",
                topic=batch.topic,
                partition=batch.partition,
                error=named(error),
                frames=places(error),
            )
            self._fail(f"a batch could not be taken in: {named(error)}")

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - without its helpers the worker would stand still in silence
            _log.critical("helper_met_a_bug", error=named(error), frames=places(error))
            self._fail(f"a part of the normalizer ended: {named(error)}")

    async def _beat(self) -> None:
        while True:
            self._health.beat()
            await asyncio.sleep(_BEAT_S)

    async def _serve_answers(self) -> None:
        while True:
            self._outlet.serve()
            await asyncio.sleep(_BUSY_S if self._outlet.unanswered else _IDLE_S)

    async def _serve_breakers(self) -> None:
        while True:
            await self._breakers_asked.wait()
            self._breakers_asked.clear()
            self._breakers.do(await self._leased(self._store.breaker_actions))
            self._intake.breakers_changed()

    def _people_asked(self) -> None:
        self._releases.people_asked()
        self._breakers_asked.set()

    async def _tell(self, positions: Mapping[Place, int]) -> Mapping[Place, int]:
        return await self._batches.tell_positions(positions)

    def _context_changed(self, refs: tuple[str, ...]) -> None:
        self._context.forget(refs)
        self._intake.context_changed()
        self._releases.references_changed(refs)

    def _context_lost(self) -> None:
        self._context.clear()
        self._intake.context_changed()
        self._releases.anything_changed()
        self._breakers_asked.set()


def _reply(clock: Clock, letter: DeadLetter, source: str, reference: str | None) -> Message:
    return dead_reply(letter, source, reference, clock.now_ms())
