import { pino, type DestinationStream, type Logger } from 'pino'

/**
 * The log of a process, as JSON lines. An error of the Redis client carries the whole command that
 * failed: with its password where that is AUTH, with claims where it is a script. It is left out.
 */
export function createLog(name: string, level: string, to?: DestinationStream): Logger {
  const redact = { paths: ['err.command', 'err.*.command'], remove: true }
  const options = { level, base: { name }, redact }
  return to === undefined ? pino(options) : pino(options, to)
}
