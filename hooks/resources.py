"""Resources as `app new` writes them, for whoever works on the template."""

import shlex
from collections.abc import Sequence
from typing import Any

# A resource of every type, one of each access, two with soft delete, two in SQL, one in Tortoise,
# which has the ORM where Tortoise cannot be.
SAMPLES = (
    "products title:text subtitle:text:40:optional code:text:2:unique rating:integer:1:5:sort "
    "total:integer:index hidden:boolean charge:money:sort cost:money:optional "
    "released:date:sort:index due:moment:sort state:enum:draft:in_print:published "
    "contact:email:unique site:url:optional key:uuid:unique extra:json note:json:optional "
    "item:items:unique author:users:optional order:orders:optional:unique parent:products:optional "
    "shelf:shelves",
    "shelves label:text:unique:index open:boolean:optional --singular shelf --access public "
    "--soft-delete --store tortoise",
    # note_id names a user here, and a note in the paths of notes.
    "labels order:integer:-5:-1:sort select:text:1 shelf:shelves:unique note:users --access admin "
    "--soft-delete --store sql",
    "notes content:text:5000 fee:money:sort:index seen:moment:optional day:date:index "
    "kind:enum:plain:rich key:uuid:unique extra:json:optional site:url:optional "
    "order:orders product:products:optional:unique --store sql",
)
# The same in MongoDB, where nothing is referred to.
MONGODB_SAMPLES = (
    "parcels title:text subtitle:text:40:optional code:text:2:unique rating:integer:1:5:sort "
    "total:integer:index hidden:boolean charge:money:sort cost:money:optional:unique "
    "released:date:sort:index due:moment:sort state:enum:draft:in_print:published "
    "contact:email:unique site:url:optional:unique key:uuid:unique extra:json note:json:optional "
    "--store mongodb",
    "crates label:text:unique:index open:boolean:optional isbn:text:20:optional:unique "
    "--access public --soft-delete --store mongodb",
    "badges order:integer:-5:-1 select:text:1 --access admin --soft-delete --store mongodb",
    "stamps content:text:5000 --soft-delete --store mongodb",
)


def resources(commands: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the answer to `resources`, given what one would type after `app new`."""
    answer: dict[str, dict[str, Any]] = {}
    for command in commands:
        plural, *words = shlex.split(command)
        options = {"access": "private", "singular": plural.removesuffix("s"), "store": "orm"}
        soft_delete = "--soft-delete" in words
        fields = [word for word in words if word != "--soft-delete"]
        for option in options:
            if f"--{option}" in fields:
                at = fields.index(f"--{option}")
                options[option] = fields[at + 1]
                del fields[at : at + 2]
        if options["store"] == "orm":  # what an entry without the word means
            del options["store"]
        answer[plural] = {**options, "soft_delete": soft_delete, "fields": fields}
    return answer
