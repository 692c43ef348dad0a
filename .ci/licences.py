#!/usr/bin/env python3
"""Checks every dependency's licence and source against deny.toml, without network.

`cargo deny check` reads the same file and knows advisories too; this is what of it works offline and needs no
installation.
"""

import json
import re
import subprocess
import sys
import tomllib

policy = tomllib.load(open("deny.toml", "rb"))
allowed = set(policy["licenses"]["allow"])


def permitted(expression):
    """Whether one of the alternatives of an SPDX expression is made of allowed licences only."""
    operators = {"OR": "or", "AND": "and", "/": " or "}
    licence = r"[\w.+-]+(?: WITH [\w.-]+)?|/"
    terms = re.sub(licence, lambda word: operators.get(word[0], str(word[0] in allowed)), expression)
    return eval(terms)  # Nothing but True, False, and, or, brackets and blanks is left.


metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]))
problems = []
for package in metadata["packages"]:
    name = f"{package['name']} {package['version']}"
    if not permitted(package["license"] or "none"):
        problems.append(f"{name}: licence {package['license']!r} is not allowed by deny.toml")
    if package["source"] and not package["source"].endswith("/crates.io-index"):
        problems.append(f"{name}: comes from {package['source']}")
print("\n".join(problems) or f"{len(metadata['packages'])} packages: licences and sources are allowed")
sys.exit(bool(problems))
