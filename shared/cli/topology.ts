import { runTopology } from './topology/run-topology.ts'

/** `npm run topology -- <show|apply|check|diff|permissions>`: as `knell topology`. */
process.exitCode = await runTopology(process.argv.slice(2))
