import { feedTakes } from '../routes/feed.ts'
import { wire } from '../shown-schema.ts'
import { BOTH, json, type Call } from './call.ts'

export const feedCalls: readonly Call[] = [
  {
    call: 'GET /v1/snapshot',
    id: 'snapshot',
    servedBy: BOTH,
    summary: 'All rules of a tenant',
    description:
      'Lines of JSON, each as the schema says: a head, rules, an end. Rules come one to a line, or in runs where the caller prefers them. Without the end it is not whole. With service and instance the caller joins those that a revocation waits for.',
    scopes: ['feed:read'],
    headers: ['prefer'],
    ...feedTakes['GET /v1/snapshot'],
    answers: {
      200: {
        description: 'One JSON text a line.',
        content: { 'application/x-ndjson': wire('snapshot-line.json') },
      },
    },
    codes: ['too_many_instances', 'foreign_instance'],
  },
  {
    call: 'GET /v1/feed',
    id: 'feed',
    servedBy: BOTH,
    summary: 'Entries after positions, or the tails',
    description:
      'after is one position <term>-<seq> per shard, parted by commas; without it only the tails are answered. With waitMs the answer comes when there is news, or then.',
    scopes: ['feed:read'],
    ...feedTakes['GET /v1/feed'],
    answers: { 200: json('A page of the feed.', wire('feed-page.json')) },
    codes: ['invalid_position', 'too_many_instances', 'foreign_instance'],
  },
]
