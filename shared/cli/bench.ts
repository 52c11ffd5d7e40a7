import { runBench } from './bench/run-bench.ts'

/**
 * `npm run bench [-- case ...] [--json] [--quick]`: measures Knell beside its floors and its peers, in
 * one run on one machine. `--json` prints one line per case; `--quick` takes seconds and means nothing.
 */
// What an interrupted case was waiting for would keep the process alive.
process.exit(await runBench(process.argv.slice(2)))
