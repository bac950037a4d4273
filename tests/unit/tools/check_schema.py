#!/usr/bin/env python3
"""Validates a JSON file: check_schema.py SCHEMA FILE. By the words of JSON Schema that our schemas use, each of which is known
here or refused, and by the package jsonschema too where that is installed."""
import json
import sys

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
KNOWN = {"$schema", "title", "description", "type", "enum", "const", "minimum", "required", "properties",
         "additionalProperties", "items", "prefixItems", "minItems", "maxItems", "anyOf"}  # fmt: skip


def is_a(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def problems(value, schema, where):
    """Yields what is wrong of `value`."""
    if schema is False:
        yield f"{where} is too much"
        return
    if set(schema) - KNOWN:
        yield f"the schema for {where} has words that this validator does not know: {set(schema) - KNOWN}"
    if "anyOf" in schema and all(list(problems(value, s, where)) for s in schema["anyOf"]):
        yield f"{where} is none of what it may be: {value!r:.80}"
    if "const" in schema and value != schema["const"]:
        yield f"{where} is {value!r:.80}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} is {value!r:.80}"
    if "type" in schema and not is_a(value, schema["type"]):
        yield f"{where} is no {schema['type']}: {value!r:.80}"
        return
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{where} is {value}"
    if isinstance(value, dict):
        for name in schema.get("required", []):
            if name not in value:
                yield f"{where} has no {name}"
        for name, item in value.items():
            if name in schema.get("properties", {}):
                yield from problems(item, schema["properties"][name], f"{where}.{name}")
            elif schema.get("additionalProperties") is False:
                yield f"{where} has {name}"
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{where} has {len(value)} items"
        first = schema.get("prefixItems", [])
        for number, item in enumerate(value):
            its = first[number] if number < len(first) else schema.get("items", {})
            yield from problems(item, its, f"{where}[{number}]")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    with open(sys.argv[2], encoding="utf-8") as file:
        value = json.load(file)
    found = list(problems(value, schema, "the file"))[:10]
    try:
        import jsonschema
    except ImportError:
        pass
    else:
        jsonschema.Draft202012Validator.check_schema(schema)
        found += [e.message[:200] for e in jsonschema.Draft202012Validator(schema).iter_errors(value)][:10]
    sys.exit("\n".join(found) if found else 0)


main()
