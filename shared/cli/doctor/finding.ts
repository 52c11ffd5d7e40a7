export type Level = 'ok' | 'warning' | 'failure'

/** What one check has found. */
export interface Finding {
  readonly level: Level
  readonly found: string
  /** What to do about it. Absent where all is well. */
  readonly fix?: string
}

export interface NamedFinding extends Finding {
  readonly part: 'Redis' | 'RabbitMQ' | 'API'
  readonly check: string
}

export const ok = (found: string): Finding => ({ level: 'ok', found })
export const warning = (found: string, fix: string): Finding => ({ level: 'warning', found, fix })
export const failure = (found: string, fix: string): Finding => ({ level: 'failure', found, fix })

/** A small question with one answer. */
export interface Check {
  readonly part: NamedFinding['part']
  readonly check: string
  readonly run: () => Promise<Finding> | Finding
  /** What to do where it comes to nothing. */
  readonly fix: string
}

/** What a check may take; one that takes longer has found that. */
export const CHECK_MS = 5000

/** Runs checks side by side; each answers, whatever happens to it. */
export function runChecks(checks: readonly Check[]): Promise<NamedFinding[]> {
  return Promise.all(
    checks.map(async (one) => ({
      part: one.part,
      check: one.check,
      ...(await answerOf(one)),
    })),
  )
}

async function answerOf({ run, fix }: Check): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Finding>((resolve) => {
    timer = setTimeout(
      () => resolve(failure(`no answer within ${CHECK_MS / 1000} s`, fix)),
      CHECK_MS,
    )
  })
  try {
    return await Promise.race([Promise.resolve(run()), late])
  } catch (error) {
    return failure(error instanceof Error ? error.message : String(error), fix)
  } finally {
    clearTimeout(timer)
  }
}
