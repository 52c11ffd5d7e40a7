/** How much each case measures. */
export interface Sizes {
  /** Rounds are interleaved with those of floor or peer; figures are medians over them. */
  readonly push: { readonly rounds: number; readonly perRound: number; readonly warmUp: number }
  readonly signing: { readonly rounds: number; readonly perRound: number; readonly warmUp: number }
  readonly proof: {
    readonly instances: number
    readonly rounds: number
    readonly perRound: number
    readonly warmUp: number
  }
  readonly revoke: { readonly rounds: number; readonly perRound: number; readonly warmUp: number }
  readonly expiry: {
    readonly rounds: number
    readonly tokens: number
    readonly jobs: number
    readonly warmUp: number
    /** Due in each of so many seconds. */
    readonly perSecond: number
    readonly seconds: number
    /** What the peers have due over as many seconds, and keys that are not due. */
    readonly peerTokens: number
    readonly otherKeys: number
  }
  readonly check: {
    readonly revoked: number
    readonly rounds: number
    readonly perRound: number
    /** Keys in Redis, and how many of them are asked for per round. */
    readonly keys: number
    readonly asksPerRound: number
    /** Tokens that are verified per round. */
    readonly verified: number
  }
  readonly bytes: { readonly tokens: number; readonly jobs: number; readonly others: number }
  readonly boot: {
    /** Starts with an empty store. */
    readonly runs: number
    readonly rules: number
    /** Starts with so many rules. */
    readonly fullRuns: number
  }
  readonly signals: {
    readonly tokens: number
    readonly rounds: number
    readonly perRound: number
    /** Tokens revoked one by one. */
    readonly samples: number
  }
  readonly sweep: {
    readonly small: number
    readonly large: number
    readonly due: number
    readonly samples: number
  }
  readonly crowd: {
    readonly instances: number
    readonly processes: number
    readonly tenants: number
    readonly seconds: number
  }
  readonly strategies: {
    /** Sessions that ask, and how often all of them do per round. */
    readonly sessions: number
    readonly perRound: number
    readonly rounds: number
    /** Tokens that are killed while somebody looks. */
    readonly deaths: number
    /** Tokens that were revoked before. */
    readonly revoked: number
    /** How long the peer's cache believes what it has heard. */
    readonly cacheMs: number
  }
}

export const fullSizes: Sizes = {
  push: { rounds: 5, perRound: 200, warmUp: 300 },
  signing: { rounds: 5, perRound: 200, warmUp: 300 },
  proof: { instances: 10, rounds: 5, perRound: 60, warmUp: 100 },
  revoke: { rounds: 5, perRound: 40_000, warmUp: 12_000 },
  expiry: {
    rounds: 3,
    tokens: 200_000,
    jobs: 10_000,
    warmUp: 20_000,
    perSecond: 10_000,
    seconds: 5,
    peerTokens: 10_000,
    otherKeys: 500_000,
  },
  check: {
    revoked: 1_000_000,
    rounds: 7,
    perRound: 100_000,
    keys: 100_000,
    asksPerRound: 5000,
    verified: 1000,
  },
  bytes: { tokens: 1_000_000, jobs: 10_000, others: 100_000 },
  boot: { runs: 15, rules: 1_000_000, fullRuns: 3 },
  signals: { tokens: 500_000, rounds: 4, perRound: 50_000, samples: 100 },
  sweep: { small: 10_000, large: 10_000_000, due: 1000, samples: 40 },
  crowd: { instances: 500, processes: 2, tenants: 1000, seconds: 10 },
  strategies: {
    sessions: 500,
    perRound: 2000,
    rounds: 5,
    deaths: 100,
    revoked: 50_000,
    cacheMs: 5000,
  },
}

/** Small enough for a test: the figures say that the bench works, and nothing else. */
export const quickSizes: Sizes = {
  push: { rounds: 2, perRound: 20, warmUp: 10 },
  signing: { rounds: 2, perRound: 20, warmUp: 10 },
  proof: { instances: 3, rounds: 2, perRound: 10, warmUp: 5 },
  revoke: { rounds: 1, perRound: 1000, warmUp: 200 },
  expiry: {
    rounds: 1,
    tokens: 5000,
    jobs: 1000,
    warmUp: 500,
    perSecond: 500,
    seconds: 2,
    peerTokens: 500,
    otherKeys: 1000,
  },
  check: {
    revoked: 20_000,
    rounds: 2,
    perRound: 5000,
    keys: 2000,
    asksPerRound: 500,
    verified: 60,
  },
  bytes: { tokens: 5000, jobs: 1000, others: 2000 },
  boot: { runs: 2, rules: 5000, fullRuns: 1 },
  signals: { tokens: 5000, rounds: 2, perRound: 2000, samples: 10 },
  sweep: { small: 1000, large: 10_000, due: 1000, samples: 2 },
  crowd: { instances: 10, processes: 2, tenants: 20, seconds: 2 },
  strategies: { sessions: 30, perRound: 60, rounds: 2, deaths: 3, revoked: 100, cacheMs: 300 },
}
