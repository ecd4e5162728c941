from app.schemas import Schema


class UploadRead(Schema):
    id: int
    sha256: str
    size: int
