import { z } from 'zod'
import { BOTH, type Call } from './call.ts'

export const metricsCalls: readonly Call[] = [
  {
    call: 'GET /metrics',
    id: 'metrics',
    servedBy: BOTH,
    summary: 'Metrics for Prometheus',
    description: 'For keys of all tenants. docs/metrics.md lists them.',
    scopes: ['ops:read'],
    answers: {
      200: { description: 'Prometheus’s text format.', content: { 'text/plain': z.string() } },
    },
  },
]
