"""What download and upload sessions have in common: how they are described, and whether a request may use one."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

from aiopaiio.local.answers import Refused
from aiopaiio.local.running import Call, Running
from aiopaiio.local.storage import Download, Upload

__all__ = ["OWNER", "check_session", "download_json", "find_download", "find_upload", "upload_json"]

OWNER = "local"


def download_json(download: Download, *, quota_name: str) -> dict[str, Any]:
    """The description of a download session."""
    return {
        "DownloadID": download.id,
        "Status": "normal",
        "RecordCount": download.row_count,
        "Initiated": formatdate(download.created, usegmt=True),
        "Owner": OWNER,
        "QuotaName": quota_name,
        "SupportReadByRawSize": False,
        "Schema": download.schema.to_tunnel_json(),
    }


def upload_json(upload: Upload, *, quota_name: str, max_field_bytes: int) -> dict[str, Any]:
    """The description of an upload session with its blocks, ascending."""
    return {
        "UploadID": upload.id,
        "Status": upload.status,
        "MaxFieldSize": max_field_bytes,
        "QuotaName": quota_name,
        "Initiated": formatdate(upload.created, usegmt=True),
        "Owner": OWNER,
        "IsOverwrite": upload.overwrite,
        "Schema": upload.schema.to_tunnel_json(),
        "UploadedBlockList": [
            {
                "BlockID": block.block_id,
                "CreateTime": int(block.created),
                "Date": formatdate(block.created, usegmt=True),
                "FileName": "",
                "RecordCount": block.row_count,
                "Version": 0,
            }
            for block in upload.blocks
        ],
    }


def check_session(running: Running, session: str, code: str) -> None:
    """Refuse a session that a fault has expired."""
    if session in running.expired_sessions:
        raise Refused(code, "The specified session does not exist or has expired.")


async def find_download(running: Running, call: Call) -> Download:
    """The download session the request names; it must be one of the request's table."""
    session = call.query.get("downloadid", "")
    check_session(running, session, "NoSuchDownload")
    download = await running.run(running.store.get_download, session)
    if download.name != call.table:
        raise Refused("NoSuchDownload", "The specified download session is not one of this table.")
    return download


async def find_upload(running: Running, call: Call) -> Upload:
    """The upload session the request names; it must be one of the request's table."""
    session = call.query.get("uploadid", "")
    check_session(running, session, "NoSuchUpload")
    upload = await running.run(running.store.get_upload, session)
    if upload.name != call.table:
        raise Refused("NoSuchUpload", "The specified upload session is not one of this table.")
    return upload
