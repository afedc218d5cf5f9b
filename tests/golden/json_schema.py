# SPDX-License-Identifier: MIT
"""
Check a document against a JSON Schema, as far as replay/report/report.schema.json uses the language: so that the
tests need no package. Where python3-jsonschema is installed it judges too, and an unknown keyword is an error, never
ignored.
"""

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "null": type(None)}
ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description"}
KNOWN = ANNOTATIONS | {"$ref", "type", "const", "enum", "minimum", "minItems", "minLength", "minProperties", "required",
                       "properties", "additionalProperties", "unevaluatedProperties", "propertyNames", "items",
                       "prefixItems"}


def is_type(value, name):
    if name == "integer" and isinstance(value, bool):
        return False
    return isinstance(value, TYPES[name])


def referred(schema, root):
    target = root
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return target


def evaluated(schema, root):
    """The names of members that a schema has rules for, itself or by reference."""
    names = set(schema.get("properties", {}))
    return names | evaluated(referred(schema, root), root) if "$ref" in schema else names


def problems(value, schema, root, path="report"):
    """Every violation as a line."""
    if schema is True:
        return []
    if schema is False:
        return [f"{path}: not allowed"]
    found = [f"{path}: the checker does not know the keyword {key}" for key in schema.keys() - KNOWN]
    if "$ref" in schema:
        found += problems(value, referred(schema, root), root, path)
    if "const" in schema and value != schema["const"]:
        found.append(f"{path}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path}: {value!r} is none of {schema['enum']}")
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(is_type(value, name) for name in names):
            return found + [f"{path}: {value!r} is not of type {names}"]
    if isinstance(value, int) and value < schema.get("minimum", value):
        found.append(f"{path}: {value} is below {schema['minimum']}")
    if isinstance(value, str) and len(value) < schema.get("minLength", 0):
        found.append(f"{path}: is too short")
    if isinstance(value, dict):
        found += object_problems(value, schema, root, path)
    if isinstance(value, list):
        found += array_problems(value, schema, root, path)
    return found


def object_problems(value, schema, root, path):
    found = [f"{path}: {key} is missing" for key in schema.get("required", []) if key not in value]
    for key, member in value.items():
        rule = schema.get("properties", {}).get(key, schema.get("additionalProperties", True))
        found += problems(member, rule, root, f"{path}.{key}")
        found += problems(key, schema.get("propertyNames", True), root, f"{path}.{key}")
    if len(value) < schema.get("minProperties", 0):
        found.append(f"{path}: has {len(value)} members, needs {schema['minProperties']}")
    if "unevaluatedProperties" in schema:
        for key in value.keys() - evaluated(schema, root):
            found += problems(value[key], schema["unevaluatedProperties"], root, f"{path}.{key}")
    return found


def array_problems(value, schema, root, path):
    found = []
    if len(value) < schema.get("minItems", 0):
        found.append(f"{path}: has {len(value)} items, needs {schema['minItems']}")
    prefix = schema.get("prefixItems", [])
    for index, item in enumerate(value):
        rule = prefix[index] if index < len(prefix) else schema.get("items", True)
        found += problems(item, rule, root, f"{path}[{index}]")
    return found


def package_problems(report, schema):
    """What python3-jsonschema finds; None where it is not installed."""
    try:
        import jsonschema
    except ImportError:
        return None
    validator = jsonschema.Draft202012Validator(schema)
    return [f"{error.json_path}: {error.message} (jsonschema)" for error in validator.iter_errors(report)]


def check(report, schema):
    return problems(report, schema, schema) + (package_problems(report, schema) or [])
