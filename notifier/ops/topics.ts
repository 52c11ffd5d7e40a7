/** One kind of event of the dashboard's stream: what an ordinary call of the API answers. */
export interface Topic {
  readonly event: string
  readonly everyMs: number
  /** What anybody may read: it waits for no look at who is still logged in. */
  readonly isOpen?: true
  url(tenant: string): string
}

export const topics: readonly Topic[] = [
  { event: 'health', everyMs: 1000, isOpen: true, url: () => '/readyz' },
  { event: 'overview', everyMs: 2000, url: () => '/v1/overview' },
  { event: 'subscribers', everyMs: 2000, url: (tenant) => `/v1/subscribers?tenant=${tenant}` },
  { event: 'recent', everyMs: 2000, url: (tenant) => `/v1/recent?tenant=${tenant}&limit=20` },
  { event: 'queues', everyMs: 5000, url: () => '/v1/queues' },
  { event: 'sweeps', everyMs: 5000, url: () => '/v1/sweeps?limit=200' },
  { event: 'due', everyMs: 10_000, url: (tenant) => `/v1/due?tenant=${tenant}` },
]

/** The topics that are due to be read at `now` (ms); notes them as read. */
export function planReads(
  all: readonly Topic[],
  readAt: Map<Topic, number>,
  now: number,
): readonly Topic[] {
  // A little early, so that a tick that comes a little early does not wait for the next one.
  const due = all.filter((topic) => now - (readAt.get(topic) ?? -Infinity) >= topic.everyMs - 100)
  for (const topic of due) readAt.set(topic, now)
  return due
}
