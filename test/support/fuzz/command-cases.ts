import { parseClaim, matchOf } from '../../../shared/cli/arguments/match-options.ts'
import { durationOf, parseMoment } from '../../../shared/cli/arguments/moment.ts'
import { parseCount } from '../../../shared/cli/arguments/count.ts'
import { parseUrl } from '../../../shared/cli/client/connection-options.ts'
import { parseOptions } from '../../../shared/cli/topology/options.ts'
import { UsageError } from '../../../shared/cli/usage-error.ts'
import type { ParserCase } from './messages.ts'

/** What reads the command line. It refuses with a UsageError, which ends the command with a code of its own. */
function argument(
  name: string,
  corpus: readonly string[],
  parse: (text: string) => unknown,
): ParserCase {
  return {
    name,
    corpus,
    parse(bytes) {
      try {
        return parse(bytes.toString('utf8'))
      } catch (error) {
        if (error instanceof UsageError) return undefined
        throw error
      }
    },
    codes: [],
  }
}

const NOW_MS = 1_800_000_000_000

export const argumentParsers: readonly ParserCase[] = [
  argument('parseClaim', ['sub=alice', 'n=5', 'b=true', 'a="x"'], parseClaim),
  argument('matchOf', ['sub=alice', 'n=5', '__proto__=x'], (text) =>
    matchOf({ claim: [text, 'aud=x'] }),
  ),
  argument(
    'parseMoment',
    ['now', '+2h', '-15m', '1769860800', '2026-01-31T12:00:00.5+01:00'],
    (text) => {
      const seconds = parseMoment(text, NOW_MS)
      if (!Number.isSafeInteger(seconds)) throw new Error(`The moment is ${seconds}.`)
      return seconds
    },
  ),
  argument('durationOf', ['500ms', '24h'], (text) => durationOf(text)),
  argument('parseCount', ['1', '1000000000'], (text) => parseCount('--limit', text)),
  argument(
    'parseUrl',
    ['http://127.0.0.1:7070/x', 'https://a.example'],
    (text) => parseUrl(text).href,
  ),
  argument('parseOptions', ['apply\n--service\norders:revoked+held@a+b', 'show\n--json'], (text) =>
    parseOptions(text.split('\n')),
  ),
]
