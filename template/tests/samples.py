"""What tests send when any valid value will do."""

from uuid import uuid4

PASSWORD = "correct horse battery staple"
ADA = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}
LAMP = {"name": "Lamp", "description": "It shines.", "price": "12.50", "stock": 1}

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def email() -> str:
    """Return an address that no other test uses."""
    return f"{uuid4().hex}@example.com"


def credentials(username: str, password: str = PASSWORD) -> dict[str, str]:
    """Return the form that `/auth/token` asks for."""
    return {"username": username, "password": password}
