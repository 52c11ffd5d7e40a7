"""The view of one tenant: steps 3 to 6 and 8 of docs/wire.md, without any I/O.

Times of messages are milliseconds where they are called at, everywhere else NumericDate seconds.
"""

import itertools
import math

WIRE_VERSION = 1
MAX_AUDIENCES = 16
LEEWAY_SECONDS = 60
# What is dead stays dead; these refusals may be taken back by newer news, so in a stale view they are stale.
REVISABLE = ("token_too_long_lived", "header_needed")


class Unreadable(Exception):
    """A message that does not follow the contract, or follows a later version of it."""


def term_of(epoch):
    return int(epoch.split(".")[0])


def is_number(value):
    """A JSON number. In Python a bool is an int; in the contract it is not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def typed(value):
    """A claim's value with its type, so that 1, True and "1" differ, and 1 and 1.0 do not."""
    if isinstance(value, bool):
        return ("boolean", value)
    if is_number(value):
        return ("number", value)
    return ("text", value) if isinstance(value, str) else None


def same(one, other):
    """Whether two matches are equal, the types of their values included."""
    return {k: typed(v) for k, v in one.items()} == {k: typed(v) for k, v in other.items()}


def values_of(name, claims, header):
    """The values under which a token carries a claim: several only for several audiences."""
    value = (header or {}).get("kid") if name == "kid" else claims.get(name)
    values = value if name == "aud" and isinstance(value, list) else [value]
    return [key for key in map(typed, values) if key is not None]


def carries(match, claims, header):
    return all(typed(value) in values_of(name, claims, header) for name, value in match.items())


def dominates(one, other):
    """Whether a cut-off kills every token that the other one kills."""
    cut, other_cut = one["issuedBefore"], other["issuedBefore"]
    reaches = cut is None or (other_cut is not None and cut >= other_cut)
    if "except" not in one or not reaches:
        return reaches
    return "except" in other and same(one["except"], other["except"])


class Row:
    """All that is known of one match: the newest version of each term, and what they amount to."""

    def __init__(self, match):
        self.match = match
        self.versions = {}
        self.cutoffs = []
        self.hold = None
        self.until = 0

    @property
    def is_live(self):
        return bool(self.cutoffs) or self.hold is not None

    def put(self, term, seq, rule):
        if term in self.versions and self.versions[term][0] >= seq:
            return
        self.versions[term] = (seq, rule)
        self.unite()

    def unite(self):
        """Newest term first: of an older one stays what no newer one has, dominates or has lifted."""
        self.cutoffs, self.hold, lifted = [], None, set()
        lifted_before = released_before = 0
        for term in sorted(self.versions, reverse=True):
            rule = self.versions[term][1]
            lifted_before = max(lifted_before, rule.get("liftedBefore", 0))
            released_before = max(released_before, rule.get("releasedBefore", 0))
            if term < lifted_before:
                continue
            lifted.update(rule.get("lifted", ()))
            newer = list(self.cutoffs)
            for cutoff in rule.get("cutoffs", ()):
                is_known = any(one["id"] == cutoff["id"] or dominates(one, cutoff) for one in newer)
                if not is_known and cutoff["id"] not in lifted:
                    self.cutoffs.append({**cutoff, "reason": rule.get("reason")})
            is_held = rule.get("held") is True and term >= released_before
            if is_held and self.hold is None and rule.get("holdId") not in lifted:
                self.hold = rule
        untils = [rule["until"] for _, rule in self.versions.values()]
        self.until = None if None in untils else max(untils)

    def verdict(self, claims, header):
        iat = math.floor(claims["iat"])
        for cutoff in self.cutoffs:
            is_spared = "except" in cutoff and carries(cutoff["except"], claims, header)
            if not is_spared and (cutoff["issuedBefore"] is None or iat <= cutoff["issuedBefore"]):
                return ("revoked", cutoff["reason"])
        return None if self.hold is None else ("held", self.hold.get("reason"))


class Rules:
    """All rules, found by one look-up per set of claim names that a rule uses."""

    def __init__(self):
        self.shapes = {}

    def put(self, term, seq, rule):
        names = tuple(sorted(rule["match"]))
        rows = self.shapes.setdefault(names, {})
        key = tuple(typed(rule["match"][name]) for name in names)
        rows.setdefault(key, Row(rule["match"])).put(term, seq, rule)

    def prune(self, now):
        for rows in self.shapes.values():
            for key in [key for key, row in rows.items() if row.until is not None and row.until < now]:
                del rows[key]

    def verdict(self, claims, header):
        mildest = None
        for names, rows in self.shapes.items():
            if "kid" in names and header is None:
                if any(row.is_live and self.could_cover(row, claims) for row in rows.values()):
                    mildest = mildest or ("header_needed", None)
                continue
            for key in itertools.product(*(values_of(name, claims, header) for name in names)):
                found = rows[key].verdict(claims, header) if key in rows else None
                if found is not None and found[0] == "revoked":
                    return found
                mildest = found or mildest
        return mildest

    @staticmethod
    def could_cover(row, claims):
        others = {name: value for name, value in row.match.items() if name != "kid"}
        return carries(others, claims, None)


class Shard:
    """How far one shard is known: the highest seq up to which nothing is missing."""

    def __init__(self):
        self.epoch, self.term, self.seq = "", 0, 0
        self.ahead = set()
        self.early = []

    def note(self, epoch, seq):
        """An entry was applied. Returns whether it is of an epoch that was not entered yet."""
        if epoch != self.epoch:
            if term_of(epoch) < self.term:
                return False
            self.early.append((epoch, seq))
            return True
        if seq > self.seq:
            self.ahead.add(seq)
            self.close()
        return False

    def close(self):
        while self.seq + 1 in self.ahead:
            self.seq += 1
        self.ahead = {seq for seq in self.ahead if seq > self.seq}

    def reach(self, tail):
        """A snapshot contains everything up to this tail. Never goes back."""
        if tail["epoch"] == self.epoch:
            self.seq = max(self.seq, tail["seq"])
            self.close()
        elif term_of(tail["epoch"]) >= self.term:
            self.epoch, self.term, self.seq = tail["epoch"], term_of(tail["epoch"]), tail["seq"]
            self.ahead, early, self.early = set(), self.early, []
            for epoch, seq in early:
                self.note(epoch, seq)


class View:
    def __init__(self, tenant):
        self.tenant = tenant
        self.rules = Rules()
        self.shards = []
        self.max_token_ttl = []
        self.ready = False
        self.needs_snapshot = True
        self.as_of = 0
        self.pending = []
        self.heard = []

    def shard(self, index):
        while len(self.shards) <= index:
            self.shards.append(Shard())
        return self.shards[index]

    def apply(self, entry):
        """Applies an entry of revocations, whichever way it came. Raises Unreadable before anything changes."""
        check_entry(entry)
        if entry["tenant"] != self.tenant:
            raise Unreadable("an entry of another tenant")
        for rule in entry["events"]:
            self.rules.put(term_of(entry["epoch"]), entry["seq"], rule)
        if self.shard(entry["shard"]).note(entry["epoch"], entry["seq"]):
            self.needs_snapshot = True
        self.settle()

    def snapshot(self, lines):
        """Applies a snapshot. Returns False where it broke off: what came is true, but it is not whole."""
        head, count = None, 0
        for line in lines:
            if head is None:
                head = line
            elif line.get("end") is True:
                if line["count"] == count:
                    self.end_snapshot(head)
                return line["count"] == count
            elif "rule" in line:
                check_rule(line["rule"])
                self.rules.put(term_of(line["epoch"]), line["seq"], line["rule"])
                count += 1
        return False

    def end_snapshot(self, head):
        tails = head["tails"]["revocations"]
        if tails[0]["epoch"] != self.shard(0).epoch:
            # Another store, perhaps with another clock: times of the old one say nothing about this one.
            self.as_of, self.pending = 0, []
        for index, tail in enumerate(tails):
            self.shard(index).reach(tail)
        self.ready = True
        self.max_token_ttl = head["maxTokenTtl"]
        self.needs_snapshot = self.compare(tails) == "foreign"
        self.contain(head["at"], tails)

    def hear(self, beat):
        if self.compare(beat["tails"]["revocations"]) == "older":
            return
        self.max_token_ttl = beat["maxTokenTtl"]
        self.contain(beat["at"], beat["tails"]["revocations"])

    def page(self, page):
        """Applies a page of the feed. Returns False where it lacks what is known: ask another URL then."""
        for entry in page["entries"]:
            try:
                self.apply(entry)
            except Unreadable:
                pass  # Its position is not passed, so the view is not fresh beyond it.
        tails = page["tails"]
        if self.compare(tails) == "older" or self.is_before(tails):
            return False
        if page.get("trimmed"):
            self.needs_snapshot = True
        else:
            self.contain(page["at"], tails)
        return True

    def compare(self, tails):
        standing = "reached"
        for index, tail in enumerate(tails):
            shard = self.shard(index)
            if tail["epoch"] != shard.epoch:
                return "older" if term_of(tail["epoch"]) < shard.term else "foreign"
            if tail["seq"] > shard.seq:
                standing = "behind"
        return standing

    def is_before(self, tails):
        known = [(shard.term, shard.seq) for shard in self.shards]
        return any((term_of(t["epoch"]), t["seq"]) < k for t, k in zip(tails, known))

    def contain(self, at, tails):
        """The store had these tails at this time: contained once they are reached."""
        self.heard = tails
        if self.compare(tails) == "foreign":
            self.needs_snapshot = True
        self.pending = [*self.pending[-15:], (at, tails)]
        self.settle()

    def settle(self):
        if not self.ready:
            return
        for at, tails in self.pending:
            if self.compare(tails) == "reached":
                self.as_of = max(self.as_of, at)
        self.pending = [each for each in self.pending if self.compare(each[1]) in ("behind", "foreign")]

    @property
    def missing(self):
        """Whether a position was skipped, or the newest tails heard of are not reached."""
        return any(shard.ahead for shard in self.shards) or self.compare(self.heard) == "behind"

    @property
    def positions(self):
        return [f"{shard.term}-{shard.seq}" for shard in self.shards]

    def decide(self, claims, header, now, max_staleness_ms=None, stale_ms=None):
        """`now`: the store's time, seconds. `stale_ms`: the age of `as_of`, where the caller knows it better."""
        if not self.ready:
            return {"active": False, "code": "not_ready", "asOf": 0, "staleMs": None}
        stale_ms = round(now * 1000) - self.as_of if stale_ms is None else stale_ms
        code, reason = self.judge(claims, header, now)
        is_stale = max_staleness_ms is not None and stale_ms > max_staleness_ms
        if is_stale and (code == "active" or code in REVISABLE):
            code, reason = "stale", None
        decision = {"active": code == "active", "code": code, "asOf": self.as_of, "staleMs": stale_ms}
        return decision if reason is None else {**decision, "reason": reason}

    def judge(self, claims, header, now):
        exp, iat, aud = claims.get("exp"), claims.get("iat"), claims.get("aud")
        if not is_number(exp):
            return ("exp_required", None)
        if exp <= now:
            return ("expired", None)
        if not is_number(iat):
            return ("iat_required", None)
        if iat > now + LEEWAY_SECONDS:
            return ("iat_in_future", None)
        in_force = [step for step in self.max_token_ttl if step["from"] <= iat]
        step = in_force[-1] if in_force else self.max_token_ttl[0]
        if exp - iat > step["seconds"]:
            return ("token_too_long_lived", None)
        if isinstance(aud, list) and len(aud) > MAX_AUDIENCES:
            return ("too_many_audiences", None)
        return self.rules.verdict(claims, header) or ("active", None)


def check_entry(entry):
    """Members that nobody knows are ignored; what is known must be as docs/schemas/entry.json says."""
    try:
        known = entry["v"] == WIRE_VERSION and entry["log"] == "revocations" and entry["seq"] > 0
        term_of(entry["epoch"])
        if not known or not isinstance(entry["shard"], int) or not entry["events"]:
            raise Unreadable("not an entry of this version")
        for rule in entry["events"]:
            check_rule(rule)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable("not an entry") from error


def check_rule(rule):
    lists = [rule.get("cutoffs", []), rule.get("lifted", [])]
    if not isinstance(rule["match"], dict) or not all(isinstance(each, list) for each in lists):
        raise Unreadable("not a rule")
    if None in map(typed, rule["match"].values()):
        raise Unreadable("not a match")
    if any(not isinstance(cutoff["id"], str) or not is_date(cutoff["issuedBefore"]) for cutoff in lists[0]):
        raise Unreadable("not a cut-off")
    if not is_date(rule["until"]):
        raise Unreadable("not a rule")


def is_date(value):
    return value is None or is_number(value)
