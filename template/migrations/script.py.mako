"""${message.replace("\\", "\\\\").replace('"', '\\"')}"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision: str = ${repr(up_revision)}
down_revision: str | Sequence[str] | None = ${repr(down_revision)}
branch_labels: str | Sequence[str] | None = ${repr(branch_labels)}
depends_on: str | Sequence[str] | None = ${repr(depends_on)}

# While a release is rolled out, the previous version runs on this schema too. So expand first: add
# tables, and columns that are nullable or have a server default. Contract (drop, rename, tighten)
# in a later release, when no running version uses the old schema.


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
