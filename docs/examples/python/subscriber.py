"""A subscriber of Knell in Python: follows docs/wire.md with python3-pika, and nothing else of its own.

    KNELL_API_KEY=… python3 subscriber.py --amqp amqp://… --pull http://127.0.0.1:7070 --service orders
    python3 subscriber.py --vectors docs/vectors

Reads questions from standard input, one JSON object a line, and answers each with a line:
{"claims": {…}, "header": {…}} with the decision, {"status": true} with what the view says of itself.
It does not verify signatures; where EVENT_SIGNING_KEYS are set, see docs/protocol.md, "Signed entries".
"""

import argparse
import json
import os
import random
import secrets
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from view import Unreadable, View, term_of

HOLE_S = 0.25
LONG_POLL_MS = 20_000
RENEW_S = 30


class Clock:
    """What an answer that did not wait tells of the store's clock: it was read between sending and receiving."""

    def __init__(self):
        self.at, self.sent, self.received = 0, None, None

    def set(self, at, sent):
        self.at, self.sent, self.received = at, sent, time.monotonic()

    def latest(self):
        """For ages, milliseconds."""
        return self.at + (time.monotonic() - self.sent) * 1000

    def earliest(self):
        """For exp, seconds: never too early."""
        return self.at / 1000 + time.monotonic() - self.received


class Subscriber:
    def __init__(self, options, api_key):
        self.options, self.api_key = options, api_key
        self.tenant, self.service = options.tenant, options.service
        self.instance = secrets.token_hex(8)  # Step 7: random, new at each start.
        self.lock = threading.RLock()
        self.view, self.clock = View(self.tenant), Clock()
        self.as_of_seen = (0, time.monotonic())
        self.wake = threading.Event()
        self.stopping = threading.Event()
        self.asked = []
        self.push_up = self.has_left = False
        self.beat_ms = 2000
        self.beat_heard, self.newest_beat = time.monotonic(), (0, 0)
        self.missing_since = None
        self.heard_at = None  # When what was sent which the store took last.
        self.counts = {"pulls": 0, "snapshots": 0, "acks": 0, "connections": 0}

    # --- Deciding -----------------------------------------------------------------------------

    def decide(self, claims, header):
        with self.lock:
            if not self.view.ready:
                return self.view.decide(claims, header, 0)
            limit = self.options.max_staleness_ms
            unheard = time.monotonic() - self.heard_at > limit / 1000
            stale_ms = float("inf") if unheard else self.stale_ms()
            decision = self.view.decide(claims, header, self.clock.earliest(), limit, stale_ms)
            return {**decision, "staleMs": self.stale_ms()}

    def stale_ms(self):
        """By the store's clock, and at least as long as nothing newer was seen here."""
        as_of, seen = self.as_of_seen
        if as_of != self.view.as_of:
            self.as_of_seen = as_of, seen = self.view.as_of, time.monotonic()
        return max(0, round(self.clock.latest() - as_of), round((time.monotonic() - seen) * 1000))

    def status(self):
        with self.lock:
            view = self.view
            return {
                "instance": self.instance,
                "ready": view.ready,
                "needsSnapshot": view.needs_snapshot,
                "positions": view.positions,
                "missing": view.missing,
                "asOf": view.as_of,
                "push": self.push_up,
                **self.counts,
            }

    # --- Pushing: steps 1, 3, 5 and 7, all on one thread, as pika wants it ----------------------

    def push(self):
        import pika

        while not self.stopping.is_set():
            try:
                self.follow(pika)
            except (pika.exceptions.AMQPError, OSError) as error:
                log(f"RabbitMQ is away: {error!r}")
            self.push_up = False
            self.wake.set()
            self.stopping.wait(random.uniform(0.2, 1))

    def follow(self, pika):
        parameters = pika.URLParameters(self.options.amqp)
        with pika.BlockingConnection(parameters) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            queue = channel.queue_declare("", exclusive=True).method.queue
            namespace = self.options.namespace
            channel.queue_bind(queue, f"{namespace}.revocations", f"{self.tenant}.*")
            channel.queue_bind(queue, f"{namespace}.control", f"{self.tenant}.beat")
            self.user = parameters.credentials.username
            ack_at = None
            self.push_up, self.beat_heard = True, time.monotonic()
            self.counts["connections"] += 1
            # From here on nothing is missed; what was before is pulled.
            self.wake.set()
            for method, _, body in channel.consume(queue, auto_ack=True, inactivity_timeout=0.05):
                if method is not None and self.receive(method, body):
                    # A fleet that heard the same beat must not ack at once.
                    ack_at = time.monotonic() + random.uniform(0, self.beat_ms / 4000)
                if self.is_answer_due():
                    ack_at = time.monotonic()
                if ack_at is not None and time.monotonic() >= ack_at:
                    self.acknowledge(pika, channel)
                    ack_at = None
                self.look_for_holes()
                if self.stopping.is_set():
                    self.acknowledge(pika, channel, "leaving")
                    self.has_left = True
                    return
                if self.is_silent(3):
                    # The queue or its bindings may be gone though the connection is there.
                    raise OSError("no beat has come for long")

    def receive(self, method, body):
        """Applies what was pushed. Returns whether it was a beat that is news."""
        try:
            message = json.loads(body)
            if message["tenant"] != self.tenant or not method.routing_key.startswith(f"{self.tenant}."):
                raise Unreadable("a message of another tenant")
            with self.lock:
                if method.exchange.endswith(".control"):
                    return self.hear(message)
                self.view.apply(message)
                if message.get("ack") is True:
                    self.asked.append((message["shard"], term_of(message["epoch"]), message["seq"]))
        except (Unreadable, ValueError, KeyError, TypeError) as error:
            log(f"a message was dropped: {error!r}")
        return False

    def hear(self, beat):
        tails = beat["tails"]["revocations"]
        place = (term_of(tails[0]["epoch"]), beat["at"])
        if beat["v"] != 1 or place <= self.newest_beat:
            return False
        self.newest_beat, self.beat_heard = place, time.monotonic()
        self.view.hear(beat)
        if self.view.needs_snapshot:
            self.wake.set()
        return True

    def is_answer_due(self):
        """Whether an entry that somebody waits for, and all before it, is applied by now."""
        with self.lock:
            shards = self.view.shards
            reached = [a for a in self.asked if (shards[a[0]].term, shards[a[0]].seq) >= a[1:]]
            self.asked = [a for a in self.asked if a not in reached]
            return bool(reached)

    def look_for_holes(self):
        """Step 4: delivery reorders, so a hole is given a moment to close by itself."""
        with self.lock:
            is_missing = self.view.needs_snapshot or self.view.missing
        if not is_missing:
            self.missing_since = None
        elif self.missing_since is None:
            self.missing_since = time.monotonic() + random.uniform(0, HOLE_S)
        elif time.monotonic() - self.missing_since > HOLE_S:
            self.missing_since = None
            self.wake.set()

    def is_silent(self, times=1):
        return time.monotonic() - self.beat_heard > times * (3 * self.beat_ms / 1000 + 1)

    def ack(self, state=None):
        with self.lock:
            view = self.view
            stale_ms = self.stale_ms() if view.ready else None
            is_stale = stale_ms is not None and stale_ms > self.options.max_staleness_ms
            applied = [{"epoch": shard.epoch, "seq": shard.seq} for shard in view.shards]
            return {
                "v": 1,
                "tenant": self.tenant,
                "service": self.service,
                "instance": self.instance,
                "at": view.as_of,
                "state": state or ("joining" if not view.ready else "stale" if is_stale else "ready"),
                "applied": {"revocations": applied if view.ready else []},
                "staleMs": stale_ms,
                "maxStalenessMs": self.options.max_staleness_ms,
            }

    def acknowledge(self, pika, channel, state=None):
        ack, sent = self.ack(state), time.monotonic()
        properties = pika.BasicProperties(
            content_type="application/json", type="knell.ack", app_id="knell", user_id=self.user
        )
        key = f"{self.tenant}.ack.{self.service}"
        try:
            body = json.dumps(ack).encode()
            exchange = f"{self.options.namespace}.control"
            channel.basic_publish(exchange, key, body, properties, mandatory=True)
        except (pika.exceptions.UnroutableError, pika.exceptions.NackError):
            self.post(ack)
        self.taken(sent)
        self.counts["acks"] += 1

    def post(self, ack):
        with self.open("/v1/acks", body=ack) as response:
            response.read()

    def taken(self, sent):
        """An ack keeps an instance among those that are waited for; one that fell out needs a pull."""
        with self.lock:
            limit = self.options.max_staleness_ms / 1000
            if self.heard_at is not None and time.monotonic() - self.heard_at <= limit:
                self.heard_at = max(self.heard_at, sent)

    # --- Pulling: steps 2, 4 and 6 ---------------------------------------------------------------

    def open(self, path, query=None, body=None, timeout=10):
        url = self.options.pull[0] + path
        url += "?" + urllib.parse.urlencode(query) if query else ""
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers)
        return urllib.request.urlopen(request, timeout=timeout)

    def pull(self):
        failures = 0
        while not self.stopping.is_set():
            try:
                is_well = self.pull_once()
            except (OSError, ValueError, KeyError) as error:
                log(f"a pull from {self.options.pull[0]} failed: {error!r}")
                is_well = False
            if is_well:
                failures = 0
                if self.push_up and not self.is_silent():
                    self.wake.wait(RENEW_S)
                continue
            # The next URL, after a moment that grows.
            self.options.pull.append(self.options.pull.pop(0))
            failures += 1
            self.stopping.wait(min(5, 0.1 * 2**failures) * random.uniform(0.5, 1))

    def pull_once(self):
        self.wake.clear()
        sent = time.monotonic()
        who = {
            "tenant": self.tenant,
            "service": self.service,
            "instance": self.instance,
            "maxStalenessMs": self.options.max_staleness_ms,
        }
        with self.lock:
            needs_snapshot, after = self.view.needs_snapshot, ",".join(self.view.positions)
        if needs_snapshot:
            if self.view.ready:
                # A fleet that sees a new epoch at once must not ask at once.
                self.stopping.wait(random.uniform(0, 0.5))
            with self.open("/v1/snapshot", who) as response:
                lines = [json.loads(line) for line in response]
            with self.lock:
                is_whole = self.view.snapshot(lines)
                if is_whole:
                    self.beat_ms = lines[0].get("beatMs", 2000)
                    self.counts["snapshots"] += 1
                    self.pulled(lines[0]["at"], sent)
                return is_whole
        wait_ms = 0 if self.push_up and not self.is_silent() else LONG_POLL_MS
        # The first poll after a failure does not wait, so that it sets the clock.
        wait_ms = wait_ms if self.heard_at is not None and sent - self.heard_at < RENEW_S else 0
        query = {**who, "after": after, "waitMs": wait_ms, "asOf": self.view.as_of}
        with self.open("/v1/feed", query, timeout=10 + wait_ms / 1000) as response:
            page = json.load(response)
        with self.lock:
            self.counts["pulls"] += 1
            is_newer = self.view.page(page)
            if is_newer:
                self.pulled(page["at"] if wait_ms == 0 else None, sent)
            if page["more"] or self.view.needs_snapshot:
                self.wake.set()
            return is_newer

    def pulled(self, at, sent):
        self.heard_at = sent
        if at is not None:
            self.clock.set(at, sent)

    # --- Running -----------------------------------------------------------------------------------

    def run(self, questions, answer):
        threads = [threading.Thread(target=part, daemon=True) for part in (self.push, self.pull)]
        for thread in threads:
            thread.start()
        for line in questions:
            question = json.loads(line)
            is_check = "claims" in question
            answer(self.decide(question["claims"], question.get("header")) if is_check else self.status())
        self.stopping.set()
        self.wake.set()
        threads[0].join(timeout=5)
        if not self.has_left:
            self.post(self.ack("leaving"))


def log(text):
    print(text, file=sys.stderr, flush=True)


def parse_options(arguments):
    parser = argparse.ArgumentParser(description="A subscriber of Knell. The API key is in KNELL_API_KEY.")
    parser.add_argument("--vectors", help="run the vectors in this folder, and do no more")
    parser.add_argument("--amqp")
    parser.add_argument("--pull", action="append", help="a notifier or poller; may be given again")
    parser.add_argument("--service")
    parser.add_argument("--tenant", default="default")
    parser.add_argument("--namespace", default="knell")
    parser.add_argument("--max-staleness-ms", type=int, default=10_000)
    options = parser.parse_args(arguments)
    if options.vectors is None and not (options.amqp and options.pull and options.service):
        parser.error("--amqp, --pull and --service are needed")
    return options


def main():
    options = parse_options(sys.argv[1:])
    if options.vectors is not None:
        import vectors

        failures = vectors.run_all(options.vectors)
        for failure in failures:
            log(failure)
        return 1 if failures else 0
    subscriber = Subscriber(options, os.environ["KNELL_API_KEY"])
    subscriber.run(sys.stdin, lambda value: print(json.dumps(value), flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
