import { UsageError } from '../usage-error.ts'

/** A whole number on the command line, from 1. @throws UsageError */
export function parseCount(option: string, text: string, most: number = 1_000_000_000): number {
  const count = /^\d{1,10}$/.test(text) ? Number(text) : 0
  if (count >= 1 && count <= most) return count
  throw new UsageError(`${option} must be a whole number from 1 to ${most}.`)
}
