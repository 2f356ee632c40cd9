"""The aiohttp application: every request is understood, counted, perhaps spoilt on purpose, authorised and answered."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from aiopaiio.local import downloads, instances, preview, projects, tables, uploads
from aiopaiio.local.answer_body import send_plain
from aiopaiio.local.answers import REQUEST_ID, Refused, refusal_answer
from aiopaiio.local.auth import verify_request
from aiopaiio.local.faulting import BodyFaults, ConnectionBroken, break_connection, first_of, stall
from aiopaiio.local.faults import ExpireSession, LoseAnswer, Refuse, Stall, Status
from aiopaiio.local.operations import Operation, parse_operation
from aiopaiio.local.running import Call, Running
from aiopaiio.local.storage import StoreError

__all__ = ["make_application"]

logger = logging.getLogger(__name__)

Handler = Callable[[Running, Call], Awaitable[web.StreamResponse]]

OPERATIONS: dict[str, Handler] = {
    "logview": projects.logview,
    "tenant": projects.tenant,
    "list_projects": projects.list_projects,
    "get_project": projects.get_project,
    "tunnel_lookup": projects.tunnel_lookup,
    "usage_log": projects.usage_log,
    "list_tables": tables.list_tables,
    "get_table": tables.get_table,
    "list_partitions": tables.list_partitions,
    "get_partition": tables.get_partition,
    "head": preview.head,
    "preview": preview.preview,
    "instance": instances.create_instance,
    "get_instance": instances.get_instance,
    "stop_instance": instances.stop_instance,
    "create_instance_download": instances.create_instance_download,
    "reload_instance_download": instances.reload_instance_download,
    "read_instance_rows": instances.read_instance_rows,
    "create_download": downloads.create_download,
    "reload_download": downloads.reload_download,
    "read_rows": downloads.read_rows,
    "create_upload": uploads.create_upload,
    "reload_upload": uploads.reload_upload,
    "put_block": uploads.put_block,
    "commit_upload": uploads.commit_upload,
}


def make_application(running: Running) -> web.Application:
    """The application; everything it needs is in ``running``."""

    async def answer(request: web.Request) -> web.StreamResponse:
        request_id = secrets.token_hex(16).upper()
        response = await _answer(running, request, request_id)
        if not response.prepared:
            response.headers[REQUEST_ID] = request_id
        return response

    async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
        running.statistics.statuses[response.status] += 1
        if running.shaper is not None and running.shaper.link.latency_seconds:
            await asyncio.sleep(running.shaper.link.latency_seconds)

    async def on_shutdown(_: web.Application) -> None:
        running.stop_endless()

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    application.on_response_prepare.append(on_prepare)
    application.on_shutdown.append(on_shutdown)
    return application


async def _answer(running: Running, request: web.Request, request_id: str) -> web.StreamResponse:
    tunnel = True
    try:
        operation = parse_operation(request.method, request.raw_path)
        tunnel = operation.tunnel
        running.statistics.requests[operation.name] += 1
        call = Call(request, operation, request_id, running.faults.actions_for(operation))
        early = await _fail_early(running, call)
        return early or await _perform(running, call)
    except Refused as refused:
        return refusal_answer(refused, tunnel=tunnel, request_id=request_id)
    except ConnectionResetError:
        # The client is gone, or was cut off on purpose: nobody reads this, it is only counted.
        return web.Response(status=499)


async def _perform(running: Running, call: Call) -> web.StreamResponse:
    operation, request = call.operation, call.request
    try:
        if running.require_auth:
            verify_request(
                running.keys,
                request.method,
                request.raw_path,
                request.headers,
                operation,
                now=time.time(),
                skew_seconds=running.limits.clock_skew_seconds,
            )
        answer = await _handler(operation)(running, call)
    except ConnectionError:
        raise
    except Exception as error:
        refused = _as_refusal(error, call)
        answer = refusal_answer(refused, tunnel=operation.tunnel, request_id=call.request_id)
    if answer.prepared:
        return answer
    if first_of(call.actions, LoseAnswer):
        await break_connection(request, reset=False)
        raise ConnectionBroken("the answer is lost on purpose")
    if isinstance(answer, web.Response) and BodyFaults(request, call.actions, rows=False):
        return await send_plain(running, call, answer)
    return answer


async def _fail_early(running: Running, call: Call) -> web.StreamResponse | None:
    """The faults that come before anything is done."""
    for action in call.actions:
        if isinstance(action, Refuse):
            await break_connection(call.request, reset=False)
            raise ConnectionBroken("refused on purpose")
        if isinstance(action, Stall) and action.after_bytes is None:
            running.cut_off_at_stop()
            await stall(action.seconds)
        if isinstance(action, ExpireSession):
            running.expired_sessions |= {call.query[key] for key in ("downloadid", "uploadid") if key in call.query}
        if isinstance(action, Status):
            refused = Refused(
                action.code,
                action.message,
                status=action.status,
                retry_after_seconds=action.retry_after_seconds,
            )
            answer = refusal_answer(refused, tunnel=call.operation.tunnel, request_id=call.request_id)
            if not action.code:
                answer.body = b""
            return answer
    return None


def _handler(operation: Operation) -> Handler:
    handler = OPERATIONS.get(operation.name)
    if handler is not None:
        return handler
    if operation.name in ("streams", "upserts"):
        raise Refused("NotImplemented", f"The service for one machine has no {operation.name}; use a block upload.")
    raise Refused("InvalidURI", "Couldn't parse the specified URI.")


def _as_refusal(error: Exception, call: Call) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, StoreError):
        if error.code == "NoSuchTable" and not call.operation.tunnel:
            # The service API has one code for everything that is missing, and the number in the text.
            return Refused("NoSuchObject", f"ODPS-0130131:Table not found - {error.message}")
        return Refused(error.code, error.message)
    logger.error("%s failed, request id %s", call.operation.name, call.request_id, exc_info=error)
    return Refused("InternalServerError", "Service internal error, please try again later")
