"""Swagger UI at `/docs`, which needs nothing from the internet.

The package fastapi-swagger brings its files. All URLs in the page are relative, so that it works
under any `root_path`.
"""

from html import escape

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

# https://swagger.io/docs/open-source-tools/swagger-ui/usage/configuration/
# Swagger UI omits the prefix of the server from the token URL.
SCRIPT = """\
const prefix = location.pathname.replace(/\\/docs$/, "");

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    if (request.url.startsWith("/") && !request.url.startsWith(`${prefix}/`)) {
      request.url = prefix + request.url;
    }
    return request;
  },
});
"""

HEADERS = {
    # Swagger UI sets inline styles; scripts and requests stay on this server.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    # Cached, but revalidated by ETag, so that a new version shows at once.
    "Cache-Control": "no-cache",
}


def add_docs(app: FastAPI) -> None:
    """Serve Swagger UI at `/docs`, and redirect `/` to it."""
    page = PAGE.format(title=escape(app.title))
    files = StaticFiles(packages=[("fastapi_swagger", "resources")])

    async def home(_request: Request) -> Response:
        return RedirectResponse("docs")

    async def docs(_request: Request) -> Response:
        return HTMLResponse(page, headers=HEADERS)

    async def script(_request: Request) -> Response:
        return Response(SCRIPT, headers=HEADERS, media_type="text/javascript")

    async def file(request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        response = await files.get_response(name, request.scope)
        response.headers["Cache-Control"] = HEADERS["Cache-Control"]
        return response

    for path, endpoint in [("/", home), ("/docs", docs), ("/docs/start.js", script)]:
        app.add_route(path, endpoint, include_in_schema=False)
    for name in FILES:
        app.add_route(f"/docs/{name}", file, include_in_schema=False)
