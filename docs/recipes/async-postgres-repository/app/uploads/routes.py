from fastapi import APIRouter

from app.database import Session
from app.openapi import problems
from app.uploads.files import ReceivedFile
from app.uploads.models import Upload
from app.uploads.schemas import UploadRead

router = APIRouter(prefix="/uploads", tags=["uploads"], responses=problems(503))

ANY_BYTES = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "",
    status_code=201,
    response_model=UploadRead,
    responses=problems(401, 408, 413),
    openapi_extra=ANY_BYTES,
)
async def upload(file: ReceivedFile, session: Session) -> Upload:
    """Store a file, which is the body itself."""
    row = Upload(owner_id=file.owner.id, sha256=file.sha256, size=file.size)
    session.add(row)
    await session.flush()
    return row
