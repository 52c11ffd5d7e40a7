import { connect, type ConnectOptions, type Subscriber } from '../../shared/subscriber/index.ts'

/** A consuming service as a process of its own, told by its parent what to do. */

/** `AGENT_SKEW_MS`: how far this process's wall clock is off. */
const skewMs = Number(process.env['AGENT_SKEW_MS'] ?? 0)
const realNow = Date.now.bind(Date)
Date.now = () => realNow() + skewMs

let subscriber: Subscriber | undefined

function opened(): Subscriber {
  if (subscriber === undefined) throw new Error('The agent has not connected.')
  return subscriber
}

const commands: Readonly<Record<string, (...args: never[]) => unknown>> = {
  async connect(options: ConnectOptions) {
    subscriber = await connect(options)
    return subscriber.instance
  },
  check: (claims: Record<string, unknown>) => opened().check(claims),
  stats: () => opened().stats,
  close: () => opened().close(),
}

process.on('message', ({ id, name, args }: { id: number; name: string; args: never[] }) => {
  void (async () => {
    try {
      const result = await commands[name]?.(...args)
      process.send?.({ id, result })
    } catch (error) {
      process.send?.({ id, error: String(error) })
    }
  })()
})
process.on('disconnect', () => process.exit())
