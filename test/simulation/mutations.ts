/** A text of a compiled file or of a script, and what stands in its place. */
export interface Edit {
  /** A compiled file below `dist`, the name of a script, or `every script`. */
  readonly file: string
  readonly from: string
  readonly to: string
}

/** @throws where there is not exactly one such text: then the rule has moved, and the edit must follow it */
export function edited(text: string, { from, to }: Edit, where: string): string {
  const parts = text.split(from)
  if (parts.length === 2) return parts.join(to)
  throw new Error(`${where} has ${parts.length - 1} places where one is to be changed: ${from}`)
}

export interface Mutation {
  readonly name: string
  /** The rule that it breaks. */
  readonly breaks: string
  /** The faults under which it shows soonest; with none the calls of the clients are enough. */
  readonly faults: readonly string[]
  readonly edits: readonly Edit[]
}

/** Rules of the protocol, each broken alone: the simulation must find every one of them out. */
export const mutations: readonly Mutation[] = [
  {
    name: 'no-note',
    breaks: 'a commit notes its entry unsent in the same step',
    faults: ['nack'],
    edits: [
      {
        file: 'knell:commit',
        from: "redis.call('ZADD', KEYS[6], int(s.now), id)",
        to: '',
      },
    ],
  },
  {
    name: 'epoch-not-compared',
    breaks: 'a script compares the server with the one that the shard was last written by',
    faults: ['storeLoss'],
    edits: [
      {
        file: 'every script',
        from: 'if not m[1] or m[3] ~= run or m[4] ~= repl then',
        to: 'if not m[1] then',
      },
    ],
  },
  {
    name: 'term-used-again',
    breaks: 'a new epoch has a higher term, so that no position is used twice',
    faults: ['storeLoss'],
    edits: [
      {
        file: 'every script',
        from: 'term = math.max(term + 1, ms)',
        to: 'if not m[1] then term = ms end',
      },
    ],
  },
  {
    name: 'drained-early',
    breaks: 'no second is drained before it has come',
    faults: [],
    edits: [
      {
        file: 'knell:due',
        from: 'math.floor((s.now - tonumber(ARGV[2])) / 1000)',
        to: 'math.floor((s.now - tonumber(ARGV[2])) / 1000) + 2',
      },
      {
        file: 'knell:drain',
        from: 'if second * 1000 > s.now then',
        to: 'if second * 1000 > s.now + 2000 then',
      },
    ],
  },
  {
    name: 'not-taken-out',
    breaks: 'what is announced leaves the wheel in the same step',
    faults: [],
    edits: [
      {
        file: 'knell:drain',
        from: "change = change - redis.call('HDEL', KEYS[3], unpack(fields, from, math.min(from + 999, #fields)))",
        to: '',
      },
    ],
  },
  {
    name: 'cut-off-dropped',
    breaks: 'the cut-offs of a rule are a set: a new one takes no other away',
    faults: [],
    edits: [
      { file: 'knell:commit', from: 'rule.c[#rule.c + 1] = added', to: 'rule.c = { added }' },
    ],
  },
  {
    name: 'counted-out-early',
    breaks: 'an instance is waited for as long as it may let a dead token in',
    faults: ['pause'],
    edits: [
      {
        file: 'shared/store/instance-store.js',
        from: 'silentMs > maxStalenessMs + GRACE_BEATS * this.#beatMs',
        to: 'silentMs > 4000',
      },
    ],
  },
  {
    name: 'nack-is-confirm',
    breaks: 'only what RabbitMQ has confirmed counts as sent',
    faults: ['nack'],
    edits: [
      {
        file: 'shared/relay/relay.js',
        from: "'entry not confirmed; it stays noted');\n            return false;",
        to: "'entry not confirmed; it stays noted');\n            return true;",
      },
    ],
  },
  {
    name: 'hole-ignored',
    breaks: 'a position counts as reached when everything before it has come',
    faults: ['drop'],
    edits: [
      {
        file: 'shared/domain/log-tracker.js',
        from: 'if (seq > state.seq + 1) {',
        to: 'if (seq > state.seq + 1 && this.#keepsEarly === undefined) {',
      },
    ],
  },
  {
    name: 'snapshot-replaces',
    breaks: 'a snapshot is united with what the view knows',
    faults: ['storeLoss'],
    edits: [
      {
        file: 'shared/subscriber/follower.js',
        from: 'const wasReady = view.ready;',
        to: 'const wasReady = view.ready;\n        view.forget();',
      },
      {
        file: 'shared/domain/view.js',
        from: '    putRule(shard, position, rule) {',
        to: '    forget() { this.rules = new RuleTable(); }\n    putRule(shard, position, rule) {',
      },
    ],
  },
  {
    name: 'fresh-too-soon',
    breaks: 'a store time counts when the tails that were read after it are reached',
    faults: ['drop'],
    edits: [
      {
        file: 'shared/domain/view.js',
        from: "if (standing === 'reached' && at > this.#asOf)",
        to: 'if (at > this.#asOf)',
      },
    ],
  },
  {
    name: 'proved-too-soon',
    breaks: 'a wait counts an instance that has reached the very entry',
    faults: ['slow'],
    edits: [
      {
        file: 'notifier/waiter.js',
        from: 'if (comparePositions(applied, position) < 0) {',
        to: 'if (comparePositions(applied, position) < -1) {',
      },
    ],
  },
  {
    name: 'tenants-mixed',
    breaks: 'each tenant has rules of its own',
    faults: [],
    edits: [
      {
        file: 'shared/store/keys.js',
        from: 'rules: `${base}rules`,',
        to: 'rules: `${namespace}:{0.${shard}}:rules`,',
      },
    ],
  },
]
