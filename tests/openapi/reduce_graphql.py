#!/usr/bin/env python3
"""Cuts GitHub's GraphQL schema down to the types our queries pass through: -> graphql.json.

usage: reduce_graphql.py [SCHEMA.json]

Without an argument the schema comes from npm (`npm pack`, nothing is installed). For every field of these types: the
type it leads to (nothing for values), its arguments, and which of them are required. No prose.
"""

import json
import pathlib
import sys

import reduce

PACKAGE = "@octokit/graphql-schema@15.26.1"
MEMBER = "package/schema.json"
TYPES = (
    "Actor", "Commit", "Label", "LabelConnection", "PageInfo", "PullRequest", "Query", "Repository", "RepositoryOwner",
    "User",
)


def base(kind):
    while kind.get("ofType"):
        kind = kind["ofType"]
    return kind


def field(raw):
    to = base(raw["type"])
    out = {} if to["kind"] in ("SCALAR", "ENUM") else {"type": to["name"]}
    required = lambda one: one["type"]["kind"] == "NON_NULL" and one["defaultValue"] is None
    arguments = {one["name"]: required(one) for one in raw["args"]}
    return out | ({"arguments": arguments} if arguments else {})


def main():
    document = json.loads(pathlib.Path(sys.argv[1]).read_text()) if len(sys.argv) > 1 else reduce.fetch(PACKAGE, MEMBER)
    known = {one["name"]: one for one in document.get("data", document)["__schema"]["types"]}
    types = {name: {one["name"]: field(one) for one in known[name]["fields"]} for name in TYPES}
    out = reduce.HERE / "graphql.json"
    out.write_text(reduce.text({"source": PACKAGE, "types": types}) + "\n")
    print(f"{len(types)} types, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
