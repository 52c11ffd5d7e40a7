import { openTree, type DebianSuite } from './engines/debian-tree.ts'
import { treeVariables } from './engines/engine-tree.ts'
import { openEngines } from './engines/engines.ts'
import { runSuites, type Suite } from './suites/run-suites.ts'

/**
 * `npm run test:versions [-- --cross] [mocha options or test files]`: runs the integration tests, or those that are named, on
 * the engines of Debian 12 and on those of Debian 13; with `--cross` also on one of each.
 */
const log = (line: string): void => console.error(line)
const args = process.argv.slice(2)
const tests = args.filter((arg) => arg !== '--cross')

/** The versions of the table in docs/upgrade.md. */
const versions: Readonly<Record<DebianSuite, { rabbitmq: string; redis: string }>> = {
  bookworm: { rabbitmq: '3.10', redis: '7.0' },
  trixie: { rabbitmq: '4.0', redis: '8.0' },
}

function suiteOf(rabbitmq: DebianSuite, redis: DebianSuite): Suite {
  const wanted = { rabbitmq: versions[rabbitmq].rabbitmq, redis: versions[redis].redis }
  return {
    name: `RabbitMQ ${wanted.rabbitmq}, Redis ${wanted.redis}`,
    args: tests.length > 0 ? tests : ['test/integration'],
    async open() {
      // Tests that start engines of their own read these variables too.
      process.env[treeVariables.rabbitmq] = (await openTree(rabbitmq, log)) ?? ''
      process.env[treeVariables.redis] = (await openTree(redis, log)) ?? ''
      const { AMQP_URL, REDIS_URL, ...env } = process.env
      if (AMQP_URL || REDIS_URL) log('AMQP_URL and REDIS_URL are not used here.')
      return openEngines({ env, log })
    },
    check(found) {
      for (const engine of ['rabbitmq', 'redis'] as const) {
        if (!found[engine].startsWith(`${wanted[engine]}.`)) {
          throw new Error(`${engine} ${wanted[engine]} was wanted, but it is ${found[engine]}.`)
        }
      }
    },
  }
}

const same = [suiteOf('bookworm', 'bookworm'), suiteOf('trixie', 'trixie')]
const crosswise = [suiteOf('bookworm', 'trixie'), suiteOf('trixie', 'bookworm')]
process.exitCode = await runSuites(args.includes('--cross') ? [...same, ...crosswise] : same)
