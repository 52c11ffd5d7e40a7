import type { FastifyReply } from 'fastify'

/** What every page of the dashboard may load: its own files, and nothing of another host. */
const POLICY: readonly string[] = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "manifest-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
]

/** bull-board sets styles inline, a `<base>` and parts of its page as markup; of other hosts it may load nothing either. */
const JOBS_POLICY: readonly string[] = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "form-action 'self'",
  "base-uri 'self'",
  "frame-ancestors 'none'",
]

const COMMON = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
} as const

/** Sets the headers that keep a page, and what it shows, to itself. */
export function secure(reply: FastifyReply, page: 'ops' | 'jobs'): void {
  const policy = page === 'jobs' ? JOBS_POLICY : POLICY
  void reply.headers(COMMON).header('content-security-policy', policy.join('; '))
  // Data of an operator stays in no cache; files that are the same for everybody say otherwise.
  void reply.header('cache-control', 'no-store')
}
