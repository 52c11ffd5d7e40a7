#!/usr/bin/env node
import { CommanderError } from 'commander'
import process from 'node:process'
import { isKnellError } from '../domain/errors.ts'
import { CommandError, exitCodes } from './exit.ts'
import { createProgram } from './program.ts'
import { harmlessLines } from './terminal/print.ts'
import { UsageError } from './usage-error.ts'

/** `knell <command>`: the command line. Exit codes are in exit.ts. */

/** Whoever reads our output may have seen enough, as `head` has. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? exitCodes.ok : exitCodes.failed)
  })
}

try {
  await createProgram().parseAsync(process.argv)
} catch (error) {
  process.exitCode = tell(error)
}

/** Says what went wrong on standard error, and returns the exit code. */
function tell(error: unknown): number {
  const isJson = process.argv.includes('--json')
  // Help and version are no errors; what is wrong with the line commander has said itself.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  if (error instanceof UsageError) return report(exitCodes.usage, error.message)
  if (error instanceof CommandError) {
    return report(exitCodes[error.exit], error.message, error.problem)
  }
  if (isKnellError(error, 'config_invalid')) return report(exitCodes.config, error.message)
  if (isKnellError(error)) return report(exitCodes.failed, `${error.code}: ${error.message}`)
  if (error instanceof Error && error.name === 'SetupError') {
    return report(exitCodes.failed, error.message)
  }
  // Anything else is a fault of ours, and its stack helps.
  console.error(error)
  return exitCodes.failed

  function report(exitCode: number, message: string, problem?: object): number {
    const told = isJson ? JSON.stringify(problem ?? { detail: message, exitCode }) : message
    process.stderr.write(`${harmlessLines(told)}\n`)
    return exitCode
  }
}
