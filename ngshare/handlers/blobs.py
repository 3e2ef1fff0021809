"""/blob/<course>/<sha256>: contents sent ahead."""

from __future__ import annotations

from ngshare import references
from ngshare.database import blobs
from ngshare.database.blobs import PackedBlob
from ngshare.errors import InvalidRequest
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.uploads import SHA256
from ngshare.permissions import require_member


class BlobHandler(BaseHandler):
    long_bodies = True

    async def put(self, course_id: str, sha256: str) -> None:
        await self.read(require_member, self.identity, course_id)
        if not SHA256.fullmatch(sha256):
            raise InvalidRequest("A SHA-256 has 64 small hexadecimal digits")
        content = await self.compute(self._pack)
        if content.digest.hex() != sha256:
            raise InvalidRequest(
                f"The bytes that arrived have the SHA-256 {content.digest.hex()}; send them again"
            )
        limits = self.settings["limits"]
        await self.transact(references.upload, self.identity, course_id, content, limits)
        self.answer(size=content.size)

    def _pack(self) -> PackedBlob:
        limits = self.settings["limits"]
        pieces = limits.check_file(self.body.spool.blocks())
        return blobs.pack_pieces(pieces, self.body.new_spool())
