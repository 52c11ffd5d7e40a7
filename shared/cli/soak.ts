import { loadCases } from './load/cases.ts'
import { runLoad } from './load/run-load.ts'
import { parseOptions } from './soak/options.ts'
import { runSoak } from './soak/run-soak.ts'
import { UsageError } from './usage-error.ts'

/**
 * `npm run soak [-- --minutes 10 --seed N]`: the whole system under a random load and random faults;
 * `npm run soak -- --case NAME [--quick] [--json]`: one great load. Ends with 0 where every promise
 * was kept, and with 1 where one was broken.
 */
async function main(args: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(
      args,
      loadCases.map(({ name }) => name),
    )
    return await ('load' in options ? runLoad(options.load) : runSoak(options.soak))
  } catch (error) {
    console.error(error instanceof UsageError ? error.message : error)
    return error instanceof UsageError ? 2 : 1
  }
}

process.exit(await main(process.argv.slice(2)))
