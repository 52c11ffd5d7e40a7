import Mocha from 'mocha'
import { writeFileSync } from 'node:fs'
import type { TestCounts } from '../../shared/cli/suites/run-mocha.ts'

/**
 * Mocha's own report, then, alone on the last line, the counts that other programs look for. A command that runs the tests
 * more than once reads them from the file that it names in `KNELL_TEST_COUNTS`.
 */
export default class Reporter extends Mocha.reporters.Spec {
  override epilogue(): void {
    super.epilogue()
    const { passes, failures, pending, duration = 0 } = this.stats
    const skipped = pending > 0 ? `, ${pending} skipped` : ''
    console.log(`${passes} passed, ${failures} failed${skipped}`)
    const file = process.env['KNELL_TEST_COUNTS']
    if (file === undefined) return
    const failed = this.failures.map((test) => test.fullTitle())
    const counts: TestCounts = { passes, failures, pending, durationMs: duration, failed }
    writeFileSync(file, JSON.stringify(counts))
  }
}
