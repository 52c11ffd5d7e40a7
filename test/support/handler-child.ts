import { connect, type ConnectOptions } from '../../shared/subscriber/index.ts'

/**
 * A service in a process of its own, that a test may kill. It is told by its first message how to
 * connect and for how long it handles each event, and tells of each that it begins and ends.
 */
interface Task {
  readonly options: ConnectOptions
  readonly workMs: number
}

process.once('message', (task: Task) => {
  void (async () => {
    const service = await connect(task.options)
    await service.handle(
      ['revoked', 'expired'],
      async (event, { key }) => {
        const id = 'match' in event ? event.match['sub'] : event.jti
        process.send?.({ begun: id, key })
        await new Promise((resolve) => {
          setTimeout(resolve, task.workMs)
        })
        process.send?.({ done: id, key })
      },
      { prefetch: 2, concurrency: 5 },
    )
    process.send?.({ ready: true })
  })()
})
process.once('disconnect', () => process.exit(0))
