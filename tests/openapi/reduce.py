#!/usr/bin/env python3
"""Cuts GitHub's OpenAPI description down to the operations in use: operations.txt -> github.json.

usage: reduce.py [DESCRIPTION.json]

Without an argument the description comes from npm (`npm pack`, nothing is installed). What is left is what judges
the shape of a request or an answer: parameters, bodies, and the schemas they reach, as JSON Schema 2020-12. Prose,
examples and headers go; `nullable` becomes a type union. The same input gives the same bytes.
"""

import functools
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "@octokit/openapi@23.0.2"
MEMBER = "package/generated/api.github.com.json"
HERE = pathlib.Path(__file__).resolve().parent
WIDTH = 120
METHODS = ("get", "post", "put", "patch", "delete")
# Keys whose values map names to schemas, list schemas, or are one.
MAPS = ("properties", "patternProperties")
LISTS = ("allOf", "anyOf", "oneOf")
SINGLES = ("items", "additionalProperties", "not")
# The rest of what says something about shape.
KEPT = (
    "$ref", "type", "enum", "format", "pattern", "required", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems",
    "minProperties", "maxProperties",
)


def fetch(package, member):
    """A JSON file out of an npm package, unpacked in memory."""
    with tempfile.TemporaryDirectory() as place:
        packed = subprocess.run(
            ["npm", "pack", "--silent", package], cwd=place, check=True, capture_output=True, text=True
        )
        archive = pathlib.Path(place) / packed.stdout.split()[-1]
        with tarfile.open(archive) as tar:
            return json.load(tar.extractfile(member))


class Reducer:
    """Walks operations and collects the schemas they reach."""

    def __init__(self, document):
        self.document = document
        self.wanted = []

    def resolve(self, value):
        while "$ref" in value:
            value = functools.reduce(lambda at, key: at[key], value["$ref"].split("/")[1:], self.document)
        return value

    def schema(self, raw):
        if isinstance(raw, bool):
            return raw
        out = {key: raw[key] for key in KEPT if key in raw}
        for key in MAPS:
            if key in raw:
                out[key] = {name: self.schema(one) for name, one in raw[key].items()}
        for key in LISTS:
            if key in raw:
                out[key] = [self.schema(one) for one in raw[key]]
        for key in SINGLES:
            if key in raw:
                out[key] = self.schema(raw[key])
        if "$ref" in out:
            kind, name = out["$ref"].split("/")[2:]
            assert kind == "schemas" and "{" not in name, out["$ref"]
            self.wanted.append(name)
        return nullable(out) if raw.get("nullable") is True else out

    def body(self, raw):
        """The JSON schema of a body, or none when it is not JSON."""
        content = raw.get("content", {}).get("application/json")
        return None if content is None else self.schema(content.get("schema", {}))

    def operation(self, raw):
        out = {"parameters": [], "responses": {}}
        for parameter in map(self.resolve, raw.get("parameters", [])):
            schema = self.schema(parameter["schema"])
            # The one `x-` key that says something about shape: the value may hold slashes.
            greedy = parameter.get("x-multi-segment", False)
            telling = parameter["in"] == "query" or greedy or schema.get("type") == "integer"
            if parameter["in"] in ("path", "query") and telling:
                one = {key: parameter[key] for key in ("name", "in", "required") if key in parameter}
                out["parameters"].append(one | {"schema": schema} | ({"greedy": True} if greedy else {}))
        if "requestBody" in raw:
            body = self.resolve(raw["requestBody"])
            out["requestBody"] = {"required": body.get("required", False), "schema": self.body(body)}
        for status, response in raw["responses"].items():
            out["responses"][status] = self.body(self.resolve(response))
        return out

    def reduce(self, operations):
        paths = {}
        for method, path in operations:
            paths.setdefault(path, {})[method.lower()] = self.operation(self.document["paths"][path][method.lower()])
        schemas = {}
        while self.wanted:
            name = self.wanted.pop()
            if name not in schemas:
                schemas[name] = self.schema(self.document["components"]["schemas"][name])
        source = {"package": PACKAGE, "version": self.document["info"]["version"]}
        return {"source": source, "paths": paths, "components": {"schemas": schemas}}


def nullable(schema):
    """OpenAPI 3.0's `nullable` in JSON Schema's words."""
    kind = schema.get("type")
    if isinstance(kind, str) and not any(key in schema for key in ("$ref", *LISTS)):
        schema["type"] = [kind, "null"]
        if "enum" in schema and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
        return schema
    # Without a type anything may be there, null included, unless a combination says otherwise.
    return {"anyOf": [schema, {"type": "null"}]} if schema else schema


def text(value, indent=0, lead=0):
    """JSON with lines of a readable length: whatever fits on one line stays on it."""
    flat = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if len(flat) + indent + lead <= WIDTH or not isinstance(value, (dict, list)) or not value:
        return flat
    inner, end = " " * (indent + 1), " " * indent
    if isinstance(value, dict):
        keys = [(json.dumps(key), value[key]) for key in sorted(value)]
        parts = [f"{inner}{key}: {text(one, indent + 1, len(key) + 2)}" for key, one in keys]
        return "{\n" + ",\n".join(parts) + f"\n{end}}}"
    if all(isinstance(one, (str, int)) or one is None for one in value):
        return "[\n" + fill(value, inner) + f"\n{end}]"
    return "[\n" + ",\n".join(inner + text(one, indent + 1) for one in value) + f"\n{end}]"


def fill(values, inner):
    """Short values side by side."""
    lines = [inner]
    for index, value in enumerate(values):
        one = json.dumps(value, ensure_ascii=False) + ("," if index + 1 < len(values) else "")
        if len(lines[-1]) + len(one) + 1 > WIDTH and lines[-1] != inner:
            lines.append(inner)
        lines[-1] += ("" if lines[-1] == inner else " ") + one
    return "\n".join(lines)


def main():
    lines = (HERE / "operations.txt").read_text().splitlines()
    operations = [tuple(line.split()) for line in lines if line and not line.startswith("#")]
    document = json.loads(pathlib.Path(sys.argv[1]).read_text()) if len(sys.argv) > 1 else fetch(PACKAGE, MEMBER)
    reduced = Reducer(document).reduce(operations)
    out = HERE / "github.json"
    out.write_text(text(reduced) + "\n")
    print(f"{len(operations)} operations, {len(reduced['components']['schemas'])} schemas, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
