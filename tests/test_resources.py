"""Resources of `app new`: what is refused, how it is written, and that updates keep it."""

import ast
import builtins
import re
import subprocess
from collections.abc import Iterator
from itertools import count, product
from keyword import kwlist
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from pydantic import BaseModel

from hooks.check import check_types
from hooks.databases import Databases
from hooks.release import NEXT
from hooks.render import render
from hooks.resources import MONGODB_SAMPLES, SAMPLES, resources
from hooks.service import CommandError, Service
from hooks.variants import ROOT, Variant, variants
from tests.projects import Projects, recorded, tree
from tests.test_rendering import ruff

ALL_SAMPLES = (*SAMPLES, *MONGODB_SAMPLES)
OPPOSITES = [variants()[0], variants()[-1]]
# A filter is called as a parameter of the function that reads all pages.
REVIEWS = (
    "reviews title:text rating:integer:1:5 body:text:5000:optional reader:integer:index item:items"
)
# Three of them bring a CHECK.
FIELDS = (
    "isbn:text:20:optional:unique label:labels:optional stars:integer:1:5:optional "
    "fee:money:optional:index state:enum:draft:final:optional"
)
LABELS = "labels word:text:2:unique --access admin --soft-delete"
GRAMMAR = Environment(
    autoescape=select_autoescape(),  # only of HTML
    loader=FileSystemLoader(ROOT),
    extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
).get_template("resources/validator.jinja")


def refusal(answer: dict[str, Any]) -> str:
    """Return what the validator says to the first of the resources, which is being written."""
    return GRAMMAR.render(only=next(iter(answer)), resources=answer).strip()


def refusal_beside(command: str, *others: str) -> str:
    """Return what the validator says to a resource in a service that has the others."""
    return refusal(resources([command, *others]))


def words(name: str) -> str:
    """Return a name of Python as the words of a singular: `CurrentUser` is current_user."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


@pytest.mark.parametrize("command", [*SAMPLES, *MONGODB_SAMPLES, REVIEWS])
def test_a_resource_is_accepted(command: str) -> None:
    assert refusal(resources([command])) == ""


@pytest.mark.parametrize(
    "command",
    [
        "Books title:text",
        "bücher title:text",
        "../evil title:text",
        "class title:text --singular klass",
        "_books title:text",
        "books_ title:text",
        "order__lines title:text",
        "line_2s title:text",
        "x" * 30 + "s title:text",
        "books title:text --singular Book",
        "books title:text --singular if",
        "sheep title:text",
        "sessions title:text",
        "tags title:text",
        "testimonials title:text",
        "con title:text --singular one_con",
        "node_modules title:text",
        "tmp_files title:text",
        "sqlite_things title:text",
        "pg_things title:text",
        "alembic_version title:text --singular one",
        "pk_users title:text",
        "users_id_seq title:text --singular one",
        "test_labels title:text",
        "lateral title:text --singular one",
        "books title:text --singular user",
        "books title:text --access everybody",
        "books title:text --store excel",
        "books title:text item:items --store mongodb",
        "documents title:text --store mongodb",
        "books first:text --store tortoise",
        "books cls:text --store tortoise",
        "books kwargs:text",
        "books tenant_id:integer",
        "books tenant:users",
        "books order:orders:unique order:integer:sort",
        "books due:date:index due_created_at:moment:sort",
        "books returning:text",
        "books xmin:integer",
        "books nothing:boolean",
        "books",
        "books title",
        "books title:",
        "books title:text:",
        "books {{7*7}}:text",
        'books "ti\'tle:text"',
        "books 'title\n:text'",
        "books Title:text",
        "books " + "x" * 26 + ":text",
        "books class:text",
        "books title:text title:text",
        "books author:users author_id:integer",
        "books owner:users",
        "books id:integer",
        "books q:text",
        "books metadata:json",
        "books model_name:text",
        "books title:text:unqiue",
        "books title:text:optional:200",
        "books title:text:unique:unique",
        "books title:text:0",
        "books title:text:20001",
        "books title:text:200:300",
        "books rating:integer:1",
        "books rating:integer:5:1",
        "books rating:integer:1:1",
        "books rating:integer:01:5",
        "books rating:integer:1:2147483648",
        "books price:money:10:2",
        "books state:enum",
        "books state:enum:draft",
        "books state:enum:draft:draft",
        "books state:enum:draft:In-Print",
        "books way:enum:i:o",
        "books update:text",
        "books table:enum:a:b --store sql",
        "books table:integer:1:5 --store tortoise",
        "primaries key:enum:a:b --singular primary",
        "webs address:text --singular web",
        "books read:enum:yes:no",
        "books ok:boolean:unique",
        "books state:enum:draft:published:unique",
        "books rating:integer:1:5:unique",
        "books code:text:1:unique",
        "books extra:json:unique",
        "books extra:json:index",
        "books title:text:sort",
        "books price:money:optional:sort",
        "books parent:books",
        "books parent:books:optional",
        "books item:Items",
        "books " + " ".join(f"f{number}:text" for number in range(51)),
    ],
)
def test_what_is_no_resource_is_refused_in_one_line(command: str) -> None:
    [line] = refusal(resources([command])).splitlines()
    assert line.startswith("Type ")
    assert line.endswith((".", "?"))


def test_a_resource_of_tortoise_has_the_orm_where_tortoise_cannot_be(tmp_path: Path) -> None:
    """As `app field` renders it after a switch: on the same table, which needs no migration."""
    answers = {"only": "books", "resources": resources(["books title:text --store tortoise"])}
    for variant in variants():
        render({**variant.answers, **answers}, folder := tmp_path / variant.name)
        models = (folder / "app" / "books" / "models.py").read_text("utf-8")
        has_tortoise = variant.name.startswith("async-postgres")
        assert ("class BookTable(" in models) is has_tortoise
        assert (folder / "app" / "tortoise.py").exists() is has_tortoise
        assert ("tortoise-orm" in (folder / "pyproject.toml").read_text("utf-8")) is has_tortoise


@pytest.mark.parametrize("store", ["orm", "sql", "tortoise"])
def test_what_is_in_the_same_database_may_be_referred_to(store: str) -> None:
    for other in ("orm", "sql", "tortoise"):
        books = f"books title:text --store {other}"
        assert refusal_beside(f"pages book:books item:items --store {store}", books) == ""


@pytest.mark.parametrize("apart", ["mongodb"])
def test_no_reference_is_written_that_no_database_could_check(apart: str) -> None:
    books = f"books title:text --store {apart}"
    for store in ("orm", "sql"):
        line = refusal_beside(f"pages book:books --store {store}", books)
        assert line.startswith("Type book_id:integer:index instead: ")


def test_no_resource_has_the_name_of_what_another_answer_brings(projects: Projects) -> None:
    def names(variant: Variant, *samples: str) -> set[str]:
        folder = projects.copy(NEXT, {**variant.answers, "resources": resources(samples)})
        return {
            path.stem
            for path in (*folder.glob("app/*"), *folder.glob("tests/*"))
            if (path.suffix == ".py" or path.is_dir()) and path.name not in resources(samples)
        }

    rendered = [names(each) for each in variants()] + [names(variants()[0], *ALL_SAMPLES)]
    brought = rendered[0].union(*rendered) - rendered[0].intersection(*rendered)

    text = (ROOT / "template" / "app" / "new.py").read_text("utf-8")
    [refused] = re.findall(r"^ELSEWHERE = \{(.*?)^\}", text, re.DOTALL | re.MULTILINE)
    assert {*re.findall(r'"(\w+)"', refused)} == {*brought, "tenant"}


def test_only_the_resource_that_is_written_is_looked_at() -> None:
    """Copier drops a stored answer that is refused, and would delete all resources with it."""
    answer = resources([REVIEWS]) | {"Old": {"words": "of another release"}}
    assert refusal(answer) == ""


def test_the_command_knows_the_types() -> None:
    text = (ROOT / "template" / "app" / "new.py").read_text("utf-8")
    [known] = re.findall(r"^TYPES = \((.*?)^\)", text, re.DOTALL | re.MULTILINE)
    for type_ in re.findall(r'"(\w+)"', known):
        command = f"books x:{type_}" + (":a:b" if type_ == "enum" else "")
        assert refusal(resources([command])) == ""
    validator = (ROOT / "resources" / "validator.jinja").read_text("utf-8")
    [types] = re.findall(r"set TYPES = \[(.*?)\]", validator, re.DOTALL)
    assert re.findall(r"'(\w+)'", types) == re.findall(r'"(\w+)"', known)


@pytest.fixture(scope="module", params=OPPOSITES, ids=lambda variant: variant.name)
def samples(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples") / "service"
    render({**request.param.answers, "resources": resources(ALL_SAMPLES)}, folder)
    return folder


def bound(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module imports or binds."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name


def test_what_the_code_of_a_resource_binds_is_no_singular(samples: Path) -> None:
    own = {word for plural in resources(ALL_SAMPLES) for word in (plural, plural.removesuffix("s"))}
    entries = resources(ALL_SAMPLES).values()
    own |= {entry["singular"] for entry in entries}
    fields = {field.partition(":")[0] for entry in entries for field in entry["fields"]}
    taken = {
        (entry.get("store", "orm"), name)
        for plural, entry in resources(ALL_SAMPLES).items()
        for path in (*samples.glob(f"app/{plural}/*.py"), *samples.glob(f"tests/{plural}/*.py"))
        for name in map(words, filter(is_lower, bound(ast.parse(path.read_text("utf-8")))))
        if re.fullmatch("[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*", name)
        and not name.startswith("test_")
        and own.isdisjoint(name.split("_"))
        and name.removesuffix("_id") not in fields
    } | {
        (entry.get("store", "orm"), name)
        for plural, entry in resources(ALL_SAMPLES).items()
        for path in samples.glob(f"app/{plural}/*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.alias) and re.fullmatch("[a-z_]*[a-z]", node.name)
        for name in [node.asname or node.name]
        if own.isdisjoint(name.split("_"))
    }
    assert {
        ("orm", "session"),
        ("sql", "conditions"),
        ("mongodb", "to_bson"),
        ("orm", "router"),
    } <= taken
    free = {
        name
        for store, name in taken
        if not refusal(resources([f"xs x:text --singular {name} --store {store}"]))
    }
    assert sorted(free) == []


def test_tables_that_tests_of_a_service_make_are_no_resources() -> None:
    tests = (ROOT / "template" / "tests").rglob("*.py*")
    names = {
        name
        for path in tests
        for name in re.findall(r'__tablename__ = "(\w+)"', path.read_text("utf-8"))
    }
    assert "test_labels" in names
    free = [name for name in sorted(names) if not refusal(resources([f"{name} x:text"]))]
    assert free == []


def test_what_python_or_ruff_calls_its_own_is_no_singular() -> None:
    of_the_shell = {"copyright", "credits", "license"}
    names = {words(name) for name in dir(builtins) if not name.startswith("_")}
    names -= {*kwlist, *of_the_shell}
    assert {"none", "true", "value_error", "warning"} <= names
    assert [name for name in sorted(of_the_shell) if is_refused(name)] == []
    assert [name for name in sorted({*names, "i", "o"}) if not is_refused(name)] == []


def is_refused(singular: str, store: str = "orm") -> bool:
    return refusal(resources([f"xs x:text --singular {singular} --store {store}"])) != ""


def parameters(path: Path) -> dict[str, set[str]]:
    """Return the parameters of each function of a module."""
    return {
        function.name: {each.arg for each in function.args.args}
        for function in ast.parse(path.read_text("utf-8")).body
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_fixtures_on_which_the_tests_of_a_resource_depend_are_no_singular(samples: Path) -> None:
    """The fixture of a row would ask for itself."""
    shared: dict[str, set[str]] = {}
    for path in (samples / "tests" / "conftest.py", *samples.glob("tests/*/plugin.py")):
        shared |= parameters(path)
    found = {("orm", "anyio_backend")}  # for which anyio asks
    for plural, entry in resources(ALL_SAMPLES).items():
        tests = parameters(samples / "tests" / plural / "test_routes.py")
        names = set().union(*tests.values()) & shared.keys()
        while new := {name for each in names for name in shared.get(each, ())} - names:
            names |= new
        found |= {(entry.get("store", "orm"), name) for name in names}
    assert {("orm", "connection"), ("sql", "worker_id"), ("mongodb", "mongo")} <= found
    assert [(store, name) for store, name in sorted(found) if not is_refused(name, store)] == []


def test_what_the_body_of_a_class_uses_is_no_field(samples: Path) -> None:
    """A field of that name would hide it from the lines below."""
    used = {
        (entry.get("store", "orm"), node.id)
        for plural, entry in resources(ALL_SAMPLES).items()
        for path in (samples / f"app/{plural}/models.py", samples / f"app/{plural}/schemas.py")
        for class_ in ast.parse(path.read_text("utf-8")).body
        if isinstance(class_, ast.ClassDef)
        for line in class_.body
        for node in ast.walk(line)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        if node.id not in set(bound(line)) and not node.id[0].isupper()
    }
    assert {("orm", "mapped_column"), ("sql", "int")} <= used
    assert [
        (store, name)
        for store, name in sorted(used)
        if not refusal(resources([f"xs {name}:text --store {store}"]))
    ] == []


def is_lower(name: str) -> bool:
    """Tell whether a singular could make this name: no constant is made of one."""
    return not name.isupper()


def test_names_of_pydantic_are_no_fields() -> None:
    names = [name for name in dir(BaseModel) if not name.startswith("_")]
    assert [name for name in names if not refusal(resources([f"xs {name}:text"]))] == []


# As in resources/stores/sql/statements.jinja.
STATEMENTS = """
    CREATE TABLE "{table}" ("{column}" text, nr integer);
    INSERT INTO {quoted_table} ({quoted_column}, nr) VALUES ('a', 1) RETURNING nr;
    SELECT nr, {quoted_column} FROM {quoted_table}
        WHERE lower({quoted_column}) LIKE 'a' AND {quoted_column} = 'a';
    UPDATE {quoted_table} SET {quoted_column} = 'b', nr = nr + 1 WHERE nr = 1 RETURNING nr;
    DELETE FROM {quoted_table} WHERE nr = 1 RETURNING nr;
    DROP TABLE "{table}";
"""


def keywords(databases: Databases, folder: Path) -> set[str]:
    """Return the words that both databases know, with the names of their own columns."""
    of_postgres = folder / "keywords"
    query = (
        "SELECT word FROM pg_get_keywords() "
        "UNION SELECT attname FROM pg_attribute WHERE attnum < 0"  # what each table has
    )
    script = f"\\copy ({query}) TO '{of_postgres}'"
    databases.psql(databases.new(OPPOSITES[0]), script)
    script = "SELECT lower(candidate) FROM completion('', '') WHERE phase = 1;"
    shell = subprocess.run(["sqlite3"], input=script, capture_output=True, text=True, check=True)
    return {*of_postgres.read_text().split(), *shell.stdout.split()}


def test_words_of_sql_are_quoted_or_refused(databases: Databases, tmp_path: Path) -> None:
    text = (ROOT / "resources" / "stores" / "sql" / "statements.jinja").read_text("utf-8")
    [reserved] = re.findall(r"set RESERVED = \[(.*?)\]", text, re.DOTALL)
    script = ""
    for word in sorted(keywords(databases, tmp_path)):
        is_table = not refusal(resources([f"{word} x:text --singular one --store sql"]))
        is_column = not refusal(resources([f"xs {word}:text --store sql"]))
        quoted = f'"{word}"' if f"'{word}'" in reserved else word
        script += STATEMENTS.format(
            table=word if is_table else "xs",
            column=word if is_column else "x",
            quoted_table=quoted if is_table else "xs",
            quoted_column=quoted if is_column else "x",
        )
    assert 'FROM "group"' in script
    for variant in OPPOSITES:
        databases.execute(databases.new(variant), f"BEGIN; {script} ROLLBACK;")


ODD_NAMES = (
    "oxen type:text --singular ox",
    "email_templates title:text item:items",
    "lights order:integer:1:5:sort other:text format:enum:on:off --access public",
    "newspapers hash:email:unique item:items group:boolean:optional --access admin",
    "links source:items target:items --access public",
    "subscriptions title:text:5 ox:oxen note:text --soft-delete",
    "drafts line2:uuid:optional item:items:optional",
    "filters_xs filter_x:integer:1:5:sort line10:enum:a:b line2:enum:a:b line:enum:a:b",
    "instrument_calibration_records largest_deviation_allowed:integer:index "
    "smallest_deviation_known:integer:index",
    "contacts first_name:text last_name:text company_name:text street:text city:text country:text "
    "notes:text",
    "customer_support_conversations title:text --soft-delete",
    "stays customers_own_reference:text:unique:optional --soft-delete --store mongodb",
    "bs y:enum:a:b type:enum:a:b c1:enum:a:b --singular f --access public",
    "exams result:enum:pass:fail credential:enum:api_token:api_key",
)
TYPES = (
    *("boolean:index", "date:sort", "email:unique", "enum:a:b:optional", "integer:index:sort"),
    *("integer:-2147483648:2147483647:index:sort", "json", "moment:sort", "money:index:sort"),
    *("text", "text:20000:optional:index", "url:optional:unique", "uuid:optional:unique:index"),
    "items",
)


def long_names() -> Iterator[str]:
    """Yield commands for each store and access, with names of any length that is accepted."""
    lengths = count(0, 11)
    options = product(("orm", "sql", "tortoise", "mongodb"), ("private", "public", "admin"), (0, 1))
    for number, (store, access, is_hidden) in enumerate(options):
        first = chr(ord("a") + number)
        plural, singular = (first + letter * (1 + next(lengths) % 29) for letter in "ps")
        types = [each for each in TYPES if each != "items" or store != "mongodb"]
        fields = [
            f"{letter * (1 + next(lengths) % 25)}:{types[(number + position) % len(types)]}"
            for position, letter in enumerate("abcdefg")
        ]
        hidden = " --soft-delete" * is_hidden
        yield (
            f"{plural} {' '.join(fields)} --singular {singular} --access {access} "
            f"--store {store}{hidden}"
        )


@pytest.mark.parametrize("commands", [ODD_NAMES, (*long_names(),)], ids=["odd", "long"])
@pytest.mark.parametrize("variant", OPPOSITES, ids=lambda variant: variant.name)
def test_the_code_is_formatted_whatever_the_names(
    tmp_path: Path, variant: Variant, commands: tuple[str, ...]
) -> None:
    for command in commands:
        assert refusal(resources([command])) == "", command
    render({**variant.answers, "resources": resources(commands)}, tmp_path / "service")
    ruff("format", "--check", folder=tmp_path / "service")
    ruff("check", folder=tmp_path / "service")


def test_a_migration_may_have_many_statements(tmp_path: Path) -> None:
    """As that of a resource with 50 indexes has."""
    render({}, tmp_path / "service")
    line = '    op.create_index("i", "t", ["c"])\n'
    text = "from alembic import op\n\n\ndef upgrade() -> None:\n" + line * 60
    (tmp_path / "service" / "migrations" / "versions" / "long.py").write_text(text)
    ruff("check", folder=tmp_path / "service")


def test_checks_have_names_that_postgres_does_not_shorten(tmp_path: Path) -> None:
    """Alembic would take a shortened name for another constraint."""
    plural, fee, stars = "p" * 30, "f" * 25, "s" * 25
    command = f"{plural} {fee}:money {stars}:integer:1:5 fee:money --singular page"
    render({"resources": resources([command])}, tmp_path / "service")
    models = (tmp_path / "service" / "app" / plural / "models.py").read_text("utf-8")
    names = re.findall(r"""CheckConstraint\(\s*'.*',\s*"(\w+)"\s*\)""", models)
    assert names == [fee, stars, "fee_is_not_negative"]
    assert all(len(f"ck_{plural}_{name}") <= 63 for name in names)


@pytest.mark.parametrize("variant", OPPOSITES, ids=lambda variant: variant.name)
def test_the_commands_write_what_a_copy_has_and_their_tests_pass(
    projects: Projects, databases: Databases, folder: Path, venv: Path, variant: Variant
) -> None:
    project = projects.start(folder / "service", NEXT, variant.answers)
    service = Service(project, venv)
    settings = {"DATABASE_URL": databases.new(variant)}

    def run(*command: str) -> str:
        return service.run("run", *command, settings=settings)

    def expect(*commands: str) -> None:
        """Compare with a copy that has these resources, and migrate."""
        copy = projects.copy(NEXT, {**variant.answers, "resources": resources(commands)})
        ours = {path for path in tree(copy) if not path.startswith("migrations/versions/")}
        found, wanted = tree(project), tree(copy)
        assert [path for path in ours if found.get(path) != wanted[path]] == []
        run("alembic", "upgrade", "heads")
        run("alembic", "check")

    (project / "uncommitted.txt").write_text("A dirty tree.\n")
    run("alembic", "upgrade", "heads")
    output = run("app", "new", *REVIEWS.split())
    assert "Wrote app/reviews/ and tests/reviews/: one is review." in output
    expect(REVIEWS)
    run("app", "new", *LABELS.split())
    expect(REVIEWS, LABELS)
    with pytest.raises(
        CommandError, match=r"\nType rating:integer:1:5, the least and the greatest"
    ):
        run("app", "new", "books", "rating:integer:5:1")

    run("app", "field", "reviews", *FIELDS.split())
    expect(f"{REVIEWS} {FIELDS}", LABELS)
    tests = ("tests/reviews", "tests/labels", "tests/test_migrations.py", "tests/test_contract.py")
    attacks = ("tests/test_hostile_input.py", "-k", "reviews or labels or migrations")
    run("pytest", "--numprocesses", "0", *tests, *attacks)
    check_types(service, f"resources-{variant.name}")

    with pytest.raises(CommandError, match="Remove what refers to labels first: reviews"):
        run("app", "remove", "labels", "--yes")
    for plural in ("reviews", "labels"):
        run("app", "remove", plural, "--yes")
        run("alembic", "upgrade", "heads")
    expect()


def test_an_update_keeps_a_resource_that_is_refused_today(
    projects: Projects, tmp_path: Path
) -> None:
    """As an older release may have written it."""
    command = "sessions title:text"
    assert refusal(resources([command]))
    answers = {"project_slug": "my-service", "resources": resources([command])}
    project = projects.start(tmp_path / "project", NEXT, answers)

    projects.update(project, {"description": "Another."})

    assert recorded(project)["resources"] == answers["resources"]
    assert (project / "app" / "sessions" / "models.py").exists()


@pytest.mark.parametrize("command", [REVIEWS, MONGODB_SAMPLES[0]])
def test_an_edited_route_survives_a_switch_of_every_answer(
    projects: Projects, tmp_path: Path, command: str
) -> None:
    before, after = OPPOSITES
    plural = command.partition(" ")[0]
    samples = {"resources": resources([command])}
    project = projects.start(tmp_path / "project", NEXT, {**before.answers, **samples})
    routes = project / "app" / plural / "routes.py"
    mine = '    tags=["opinions"],\n'
    text = routes.read_text("utf-8")
    routes.write_text(text.replace(f'    tags=["{plural}"],\n', mine), "utf-8")
    projects.commit(project)

    projects.update(project, after.answers)

    assert recorded(project)["resources"] == samples["resources"]
    copy = tree(projects.copy(NEXT, {**after.answers, **samples}))
    found = tree(project)
    skipped = {"README.md", "SECURITY.md", "AGENTS.md"}
    changed = {path for path in found.keys() | copy.keys() if found.get(path) != copy.get(path)}
    assert changed - skipped == {f"app/{plural}/routes.py"}
    assert mine in routes.read_text("utf-8")
