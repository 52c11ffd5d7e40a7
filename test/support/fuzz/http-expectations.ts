import { expect } from 'chai'
import { errorCodes } from '../../../shared/domain/errors.ts'
import { decisionCodes } from '../decision-codes.ts'
import { shown } from './fuzz.ts'
import type { HttpInput } from './http-inputs.ts'
import type { Outcome } from './raw-http.ts'

/** The calls that may rightly take longer than a test waits: they wait for something. */
const WAITS =
  /^(?:GET \/v1\/feed|POST \/v1\/revocations|POST \/v1\/sweeps|GET \/ops\/events|GET \/ops\/jobs)/

/** What a service is refused a token with (RFC 6750, section 3.1), besides the codes of decisions. */
const BEARER: readonly string[] = ['invalid_token', 'insufficient_scope']
const known: readonly unknown[] = [...Object.keys(errorCodes), ...decisionCodes, ...BEARER]

/** How long nothing may come, in ms, before a call counts as hanging, or as one that waits for the rest of what it was sent. */
export function patienceOf(call: string, { isWhole }: HttpInput): number {
  return !isWhole ? 200 : WAITS.test(call) ? 700 : 10_000
}

/** There is an answer, no fault of ours, and an error says which one it is by a stable code. */
export function expectCoded(call: string, input: HttpInput, outcome: Outcome): void {
  if (outcome === 'silent' || outcome === 'ended') {
    const mayWait = outcome === 'silent' && WAITS.test(call)
    const sent = `${call} answered nothing (${outcome}) to ${shown(input.bytes)}`
    expect(input.isWhole && !mayWait, sent).to.equal(false)
    return
  }
  const { status, type, text } = outcome
  const what = `${call} → ${status} ${type}: ${text.slice(0, 300)}\nto ${shown(input.bytes)}`
  expect(status, what).to.be.within(200, 599)
  expect(status, what).to.not.equal(500)
  if (status < 400 || text === '') return
  const { code, error } = parse(text, what)
  if (typeof error === 'string' && code === undefined) return
  expect(known.includes(code), what).to.equal(true)
  expect(code, what).to.not.equal('internal')
}

function parse(text: string, what: string): { code?: unknown; error?: unknown } {
  try {
    return JSON.parse(text) as { code?: unknown; error?: unknown }
  } catch {
    return expect.fail(`${what}: an error that is no JSON`)
  }
}
