import { runUp } from './start/run-up.ts'

/**
 * `npm start`: the engines, one notifier and one poller, until Ctrl-C. Settings in the environment
 * (`BEAT=500ms npm start`) reach both processes.
 */
process.exit(await runUp())
