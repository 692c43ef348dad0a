#!/usr/bin/env python3
"""Writes JSON schemas for kubeconform, one file per kind of object.

    kubernetes-schemas.py OUT SWAGGER CRD...

SWAGGER is Kubernetes' OpenAPI document, each CRD a file of custom resource definitions.
"""

import json
import pathlib
import sys

import yaml

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


def strict(schema):
    """Refuses properties that the schema does not have, so that a misspelt one is an error."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(value) for key, value in schema.items() if not key.startswith("x-")}
    if schema.get("x-kubernetes-int-or-string"):
        result["type"] = ["integer", "string"]
    open_ended = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and not open_ended:
        result["additionalProperties"] = False
    return result


def references(schema):
    """Yields the names of the definitions that a schema uses directly."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix("#/definitions/")
        schema = list(schema.values())
    if isinstance(schema, list):
        for item in schema:
            yield from references(item)


def builtin_kinds(swagger):
    """Yields the schemas of Kubernetes' own kinds, each with the definitions that it uses."""
    definitions = {name: strict(schema) for name, schema in swagger["definitions"].items()}
    definitions[QUANTITY] = {"type": ["string", "number"]}
    definitions[INT_OR_STRING] = {"type": ["string", "integer"]}
    for name, schema in swagger["definitions"].items():
        kinds = schema.get("x-kubernetes-group-version-kind", [])
        # Options and the like belong to every group.
        if len(kinds) != 1 or kinds[0]["kind"].endswith("List"):
            continue
        used, new = set(), {name}
        while new:
            used |= new
            new = {ref for known in new for ref in references(definitions[known])} - used
        kind = kinds[0]
        closed = {used_name: definitions[used_name] for used_name in sorted(used)}
        yield kind["group"], kind["version"], kind["kind"], {"$ref": f"#/definitions/{name}", "definitions": closed}


def custom_kinds(path):
    """Yields the schemas of the kinds in a file of custom resource definitions."""
    for document in yaml.load_all(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if document and document["kind"] == "CustomResourceDefinition":
            spec = document["spec"]
            for version in spec["versions"]:
                schema = strict(version["schema"]["openAPIV3Schema"])
                yield spec["group"], version["name"], spec["names"]["kind"], schema


def main():
    out, swagger, *crds = map(pathlib.Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    kinds = list(builtin_kinds(json.loads(swagger.read_text())))
    for crd in crds:
        kinds.extend(custom_kinds(crd))
    for group, version, kind, schema in kinds:
        prefix = f"{group.split('.')[0]}-" if group else ""
        (out / f"{kind}-{prefix}{version}.json".lower()).write_text(json.dumps(schema))


main()
