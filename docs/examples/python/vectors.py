"""Runs docs/vectors against the view. Signatures need python3-cryptography; without it they are left out."""

import base64
import hashlib
import json
import pathlib

from view import Unreadable, View


def run_all(folder):
    """Returns the failures as texts; prints how many cases passed."""
    failures, passed = [], 0
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        text = json.loads(path.read_text(encoding="utf-8"))
        results = run_signatures(text) if "signatures" in text else map(run_case, text["cases"])
        for name, problem in results:
            passed += problem is None
            if problem is not None:
                failures.append(f"{path.name}: {name}: {problem}")
    print(json.dumps({"passed": passed, "failed": len(failures)}))
    return failures


def run_case(case):
    view, now = View("default"), case["now"]
    for index, step in enumerate(case["steps"], 1):
        ((kind, value),) = step.items()
        found = wanted = None
        if kind == "now":
            now = value
        elif kind == "snapshot":
            view.snapshot(value)
        elif kind == "beat":
            view.hear(value)
        elif kind == "page":
            view.page(value)
        elif kind == "entry":
            try:
                view.apply(value)
            except Unreadable:
                pass
        elif kind == "check":
            decision = view.decide(value["claims"], value.get("header"), now, value.get("maxStalenessMs"))
            wanted = value["expect"]
            found = {name: decision[name] for name in ("active", "code", "reason") if name in decision}
        elif kind == "state":
            state = {
                "ready": view.ready,
                "needsSnapshot": view.needs_snapshot,
                "asOf": view.as_of,
                "positions": view.positions,
                "missing": view.missing,
            }
            found, wanted = {name: state[name] for name in value}, value
        else:
            found = f"no step is called {kind}"
        if found != wanted:
            return (case["name"], f"step {index}: found {found}, not {wanted}")
    return (case["name"], None)


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def run_signatures(file):
    for digest in file["digests"]:
        lines = "".join(f"{line}\n" for line in digest["lines"]).encode()
        found = base64.urlsafe_b64encode(hashlib.sha256(lines).digest()).decode().rstrip("=")
        yield ("digest", None if found == digest["sha256"] else f"found {found}")
    try:
        import cryptography  # noqa: F401
    except ImportError:
        print("signatures are left out: python3-cryptography is not installed")
        return
    for case in file["signatures"]:
        found = verify(case["kind"], case["body"].encode(), case["signature"], file)
        yield (case["name"], None if found == case["expect"] else f"found {found}")


def verify(kind, body, signature, pinned):
    """What a detached ES256 JWS (RFC 7515, appendix F; RFC 7797) over these bytes is worth."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    if signature is None:
        return "unsigned"
    try:
        encoded, raw = signature.split("..")
        header, raw = json.loads(decoded(encoded)), decoded(raw)
        fits = header["alg"] == "ES256" and header["typ"] == f"{pinned['namespace']}.{kind}"
        if not fits or header.get("b64") is not False or header.get("crit") != ["b64"] or len(raw) != 64:
            return "malformed"
    except (ValueError, KeyError, TypeError):
        return "malformed"
    key = next((key for key in pinned["keys"]["keys"] if key["kid"] == header["kid"]), None)
    if key is None:
        return "unknown_key"
    x, y, r, s = (int.from_bytes(part, "big") for part in (decoded(key["x"]), decoded(key["y"]), raw[:32], raw[32:]))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    try:
        public.verify(utils.encode_dss_signature(r, s), f"{encoded}.".encode() + body, ec.ECDSA(SHA256()))
        return "good"
    except InvalidSignature:
        return "forged"
