import { context, trace } from '@opentelemetry/api'
import { connect, type Handler } from '../../shared/subscriber/index.ts'

/**
 * A service in a process of its own that says of each event it handles in which trace that is.
 * `FAILURES`: how often the handler of an event fails first, of so many `ATTEMPTS`.
 */
const {
  AMQP_URL,
  KNELL_URL,
  KNELL_API_KEY,
  NAMESPACE,
  FAILURES = '0',
  ATTEMPTS = '5',
} = process.env
const calls = new Map<unknown, number>()

const knell = await connect({
  service: 'traced',
  amqp: String(AMQP_URL),
  pull: [String(KNELL_URL)],
  apiKey: String(KNELL_API_KEY),
  namespace: String(NAMESPACE),
})
const handle: Handler<'revoked' | 'expired'> = (event, { attempt }) => {
  const { traceId, traceFlags } = trace.getSpanContext(context.active()) ?? {}
  const id = 'match' in event ? event.match['sub'] : event.jti
  say(`handles ${id} attempt ${attempt} in ${traceId} flags ${traceFlags}`)
  const times = (calls.get(id) ?? 0) + 1
  calls.set(id, times)
  if (times <= Number(FAILURES)) throw new RangeError(`${id} cannot be closed`)
}
await knell.handle(['revoked', 'expired'], handle, { maxAttempts: Number(ATTEMPTS) })
say('handling')
process.once('SIGTERM', () => void knell.close())

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
