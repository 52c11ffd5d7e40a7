import { register } from 'node:module'
import process from 'node:process'
import { mutations } from './mutations.ts'

/** What a worker is told when it starts, as JSON in its first argument. */
export interface Job {
  /** The socket of the Redis that is its own. */
  readonly socket: string
  readonly mutation?: string | undefined
  readonly only?: readonly string[] | undefined
  /** Whether it prints each line of a history. */
  readonly verbose: boolean
}

/**
 * Plays the seeds that it is sent, one after the other, and answers with the outcome of each. A process
 * of its own, since the clock in it stands still. It ends when its parent does, however that ends.
 */
process.once('disconnect', () => process.exit())
const { socket, mutation, only, verbose } = JSON.parse(process.argv[2] ?? '') as Job
const edits = mutations.find(({ name }) => name === mutation)?.edits ?? []
register('./hooks.js', import.meta.url, { data: { edits } })
const { RealRedis } = await import('./real-redis.ts')
const { runOnce } = await import('./run.ts')
const redis = await RealRedis.open(socket, edits)
const tell = verbose ? (line: string): void => console.log(line) : undefined
process.on('message', (seed: number) => {
  runOnce(seed, redis, { only, tell }).then(
    (outcome) => process.send?.(outcome),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
process.send?.('ready')
