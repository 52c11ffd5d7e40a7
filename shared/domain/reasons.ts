/** Why a token died. The index of a reason is stored in packed form by views, so the order is fixed; new ones go last. */
export const reasons = [
  'other',
  'logout',
  'role-change',
  'breach',
  'suspension',
  'deletion',
  'password-change',
  'anomaly',
  'key-compromise',
  'reuse',
  'admin',
] as const

export type Reason = (typeof reasons)[number]

export function isReason(value: unknown): value is Reason {
  return typeof value === 'string' && (reasons as readonly string[]).includes(value)
}
