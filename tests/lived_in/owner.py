"""What the owner of a project does to it, from the first release of the template on.

Each step is a function of its own, so that the one that fails says which it was. A step edits the
text of the release; a text that is not there, or is there twice, fails the step.
"""

import ast
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined, select_autoescape

from hooks.check import production
from hooks.databases import Databases
from hooks.service import Service
from hooks.variants import Variant
from tests.conftest import Shell
from tests.lived_in import rows

FILES = Path(__file__).parent / "files"
JINJA = Environment(
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    # What is rendered from a string is code here, and no page.
    autoescape=select_autoescape(default_for_string=False),
)


class Owner:
    """Somebody with an editor and a terminal, in the folder of a project."""

    def __init__(
        self,
        folder: Path,
        variant: Variant,
        databases: Databases,
        shell: Shell,
        venv: Path | None = None,
    ) -> None:
        self.folder = folder
        self.variant = variant
        self.shell = shell
        self.service = Service(folder, venv)
        self.database_url = databases.new(variant)
        self.settings = production(self.database_url)

    @property
    def queries(self) -> str:
        """The module that holds the queries of a resource."""
        return f"{self.variant.answers['data_access']}.py"

    def in_this_style(self, text: str) -> str:
        is_async = self.variant.answers["concurrency"] == "async"
        return JINJA.from_string(text).render(
            async_="async " if is_async else "",
            await_="await " if is_async else "",
            uses_repositories=self.variant.answers["data_access"] == "repository",
        )

    def write(self, path: str) -> None:
        """Write a file of this owner's own."""
        text = (FILES / f"{path}.jinja").read_text("utf-8")
        (self.folder / path).parent.mkdir(exist_ok=True)
        (self.folder / path).write_text(self.in_this_style(text), "utf-8")

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text("utf-8")
        old, new = self.in_this_style(old), self.in_this_style(new)
        assert text.count(old) == 1, f"{path} has this {text.count(old)} times:\n{old}"
        (self.folder / path).write_text(text.replace(old, new), "utf-8")

    def remove(self, path: str, *texts: str) -> None:
        for text in texts:
            self.replace(path, text, "")

    def append(self, path: str, text: str) -> None:
        with (self.folder / path).open("a", encoding="utf-8") as file:
            file.write(self.in_this_style(text))

    def remove_functions(self, path: str, *names: str) -> None:
        text = (self.folder / path).read_text("utf-8")
        lines = text.splitlines(keepends=True)
        functions = {
            node.name: node
            for node in ast.parse(text).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        for function in sorted((functions[name] for name in names), key=lambda it: -it.lineno):
            first = min([function.lineno, *(each.lineno for each in function.decorator_list)])
            del lines[first - 1 : function.end_lineno]
        (self.folder / path).write_text("".join(lines), "utf-8")

    def run(self, *command: str) -> None:
        self.service.run("run", *command, settings=self.settings)

    def run_all(self, commands: Iterable[Sequence[str]]) -> None:
        for command in commands:
            self.run(*command)

    def migrate(self, message: str) -> None:
        """Write a migration of what changed in the models, as the README says."""
        self.run("alembic", "upgrade", "heads")
        self.run("alembic", "revision", "--autogenerate", "--message", message)

    def commit(self, message: str) -> None:
        self.shell.git("add", "--all", cwd=self.folder)
        self.shell.git("commit", "--quiet", "--allow-empty", "--message", message, cwd=self.folder)


def adds_a_dependency(owner: Owner) -> None:
    owner.service.run("add", "humanize>=4,<5", settings=owner.settings)


def adds_a_resource(owner: Owner) -> None:
    for module in ("__init__.py", "models.py", "schemas.py", "routes.py", owner.queries):
        owner.write(f"app/reviews/{module}")
    owner.write("tests/reviews/test_routes.py")
    owner.migrate("add reviews")


def adds_a_column_to_items(owner: Owner) -> None:
    after = "    description: Mapped[str | None] = mapped_column(String(1000))\n"
    column = "    colour: Mapped[str | None] = mapped_column(String(50))\n"
    owner.replace("app/items/models.py", after, after + column)

    schemas = "app/items/schemas.py"
    after = "Description = Annotated[Text, Field(max_length=1000)]\n"
    owner.replace(schemas, after, after + "Colour = Annotated[Text, Field(max_length=50)]\n")
    for before, field in [
        ("    price: Price\n", "    colour: Colour | None = None\n"),
        ("    price: Price = OMITTED\n", "    colour: Colour | None = None\n"),
        ("    price: Amount\n", "    colour: str | None\n"),
    ]:
        owner.replace(schemas, before, field + before)
    owner.migrate("add colour to items")


def tests_the_column(owner: Owner) -> None:
    before = '@pytest.mark.parametrize(\n    ("price", "stored"),\n'
    test = """\
{{ async_ }}def test_an_item_has_a_colour(client: Client, alice: User, bearer: Bearer) -> None:
    response = {{ await_ }}client.post(
        "/items", json=LAMP | {"colour": "red"}, headers=bearer(alice)
    )
    assert response.json()["colour"] == "red"

    path = f"/items/{response.json()['id']}"
    response = {{ await_ }}client.patch(path, json={"price": "2.00"}, headers=bearer(alice))
    assert response.json()["colour"] == "red"
    response = {{ await_ }}client.patch(path, json={"colour": None}, headers=bearer(alice))
    assert response.json()["colour"] is None


"""
    owner.replace("tests/items/test_routes.py", before, test + before)


def adds_a_setting(owner: Owner) -> None:
    owner.replace(
        "app/settings.py",
        '    ] = "INFO"\n',
        '    ] = "INFO"\n    contact_email: str | None = None\n',
    )
    owner.replace(
        ".env.example",
        "\nLOG_LEVEL=INFO\n",
        "\nLOG_LEVEL=INFO\n\n"
        "# Whom to ask about the API; its documentation shows it. Default: nobody\n"
        "CONTACT_EMAIL=\n",
    )
    after = '        version=version("my-service"),\n'
    use = '        contact={"email": settings.contact_email} if settings.contact_email else None,\n'
    owner.replace("app/main.py", after, after + use)
    owner.replace(
        "tests/test_settings.py",
        "from app.settings import ",
        "from app.main import create_app\nfrom app.settings import ",
    )
    owner.append(
        "tests/test_settings.py",
        """

def test_the_documentation_says_whom_to_ask() -> None:
    info = create_app(read(contact_email="ada@example.com")).openapi()["info"]

    assert info["contact"] == {"email": "ada@example.com"}
""",
    )


def edits_a_route(owner: Owner) -> None:
    routes = "app/items/routes.py"
    owner.replace(routes, "Only its owner may do this.", "This item is somebody else's.")
    owner.replace("app/items/schemas.py", "    limit: Limit = 20\n", "    limit: Limit = 50\n")


def rewrites_the_readme(owner: Owner) -> None:
    owner.write("README.md")


def has_customers(owner: Owner) -> None:
    owner.run("alembic", "upgrade", "heads")
    rows.insert(owner.database_url)


def deletes_orders_as_documented(owner: Owner) -> None:
    """Delete them as the README of the service says since 0.3.0."""
    delete_the_folders_of_orders(owner)
    owner.migrate("drop orders")
    owner.run("alembic", "upgrade", "heads")


def delete_the_folders_of_orders(owner: Owner) -> None:
    for folder in ("app/orders", "tests/orders"):
        owner.shell.git("rm", "-r", "--quiet", folder, cwd=owner.folder)


def rewritten(owner: Owner) -> str:
    """Return the path where an owner and a release have rewritten the same line.

    It says what the database does when an item is deleted. Since items are hidden instead, the
    owner takes the lines of the release.
    """
    return f"app/items/{owner.queries}"


def deletes_orders(owner: Owner) -> None:
    delete_the_folders_of_orders(owner)
    owner.replace(rewritten(owner), "while an order names it", "while a review does")

    owner.remove_functions("tests/factories.py", "create_order")
    owner.remove("tests/test_contract.py", '    "GET /api/v1/orders",\n')
    owner.remove("tests/test_errors.py", '        ("/orders/summary", "GET"),\n')
    owner.remove_functions("tests/items/test_routes.py", "test_an_item_that_was_ordered_stays")
    owner.remove_functions(
        "tests/test_concurrency.py",
        "buyer",
        "stock",
        "test_the_last_pieces_are_sold_once",
        "test_crossing_orders_do_not_wait_for_each_other",
        "test_cancelled_and_new_orders_lose_no_piece",
        "test_an_order_is_cancelled_once",
    )

    queries = "tests/test_queries.py"
    owner.remove(
        queries,
        """\
        # One for the order, and two for each line.
        ("POST", "/orders", {"lines": [{"item_id": "item", "quantity": 1}]}, USER + 3),
        ("GET", "/orders", None, USER + 2),
        ("GET", "/orders/{order}", None, USER + 2),
        ("GET", "/orders/summary", None, USER + 1),
        ("PATCH", "/orders/{order}", {"status": "processing"}, USER + 3),
        ("PATCH", "/orders/{order}", {"status": "cancelled"}, USER + 5),
""",
        "    order = {{ await_ }}create_order(session, admin, item)\n",
        '        "order": order.id,\n',
        '"/orders", ',
        "        {{ await_ }}create_order(session, admin, item)\n",
    )
    owner.replace(
        queries,
        "{{ await_ }}create_order(session, admin, {{ await_ }}create_item(session, admin))",
        "{{ await_ }}create_item(session, admin)",
    )
    # What nothing needs any more: imports, and a variable.
    owner.run("ruff", "check", "--quiet", "--fix", "--unsafe-fixes", "--select", "F401,F841,I")
    drops_the_tables_of_orders(owner)


def drops_the_tables_of_orders(owner: Owner) -> None:
    """Drop them by hand: Alembic, on Postgres, drops orders before the lines that refer to them."""
    owner.run("alembic", "revision", "--message", "drop orders")
    versions = owner.folder / "migrations" / "versions"
    (created,) = versions.glob("*_create_tables.py")
    text = created.read_text("utf-8")
    (upgrade,) = (
        function
        for function in ast.parse(text).body
        if isinstance(function, ast.FunctionDef) and function.name == "upgrade"
    )
    statements = [ast.get_source_segment(text, statement) or "" for statement in upgrade.body]
    created_then = [each for each in statements if '"orders",' in each or '"order_lines",' in each]
    assert len(created_then) == 4
    (dropped,) = versions.glob("*_drop_orders.py")
    path = dropped.relative_to(owner.folder).as_posix()
    owner.replace(
        path,
        "def upgrade() -> None:\n    pass\n",
        'def upgrade() -> None:\n    op.drop_table("order_lines")\n    op.drop_table("orders")\n',
    )
    owner.replace(
        path,
        "def downgrade() -> None:\n    pass\n",
        "\n    ".join(["def downgrade() -> None:", *created_then]) + "\n",
    )
    owner.run("alembic", "upgrade", "heads")


def formats_the_code(owner: Owner) -> None:
    owner.run("ruff", "format", "--quiet")


def expects_that_items_are_hidden(owner: Owner) -> None:
    """Change a test after the update, whose message asks for it: DELETE is no longer refused."""
    owner.replace(
        "tests/reviews/test_routes.py",
        """\
    assert response.status_code == 409
    assert response.json()["detail"] == "Something else depends on this."
""",
        "    assert response.status_code == 204\n",
    )


Step = Callable[[Owner], None]

# From the first release on.
STEPS: tuple[Step, ...] = (
    adds_a_dependency,
    adds_a_resource,
    adds_a_column_to_items,
    tests_the_column,
    has_customers,
    adds_a_setting,
    edits_a_route,
    rewrites_the_readme,
    deletes_orders,
    formats_the_code,
)


# From the newest release on.
FEWER_STEPS: tuple[Step, ...] = (
    adds_a_dependency,
    adds_a_resource,
    adds_a_column_to_items,
    has_customers,
    formats_the_code,
)


def live_in(owner: Owner, steps: Iterable[Step] = STEPS) -> None:
    for step in steps:
        step(owner)
        owner.commit(step.__name__)
