/** What a PromQL expression asks for. */
export interface Asked {
  readonly metric: string
  /** The labels that it selects by. */
  readonly labels: readonly string[]
}

const KEYWORDS = new Set([
  'and',
  'or',
  'unless',
  'on',
  'ignoring',
  'by',
  'without',
  'offset',
  'bool',
])
const TEXT = /"(?:[^"\\]|\\.)*"/g
const SELECTOR = /([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?/g

/**
 * The metrics that an expression names, with the labels it selects them by. Knows no more of PromQL
 * than our own rules and dashboard use; whether they are PromQL at all promtool says.
 */
export function metricsIn(expression: string): Asked[] {
  const bare = expression
    .replaceAll(TEXT, '""')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, '')
  const found: Asked[] = []
  for (const match of bare.matchAll(SELECTOR)) {
    const [all, metric = '', body = ''] = match
    const isCall = /^\s*\(/.test(bare.slice(match.index + all.length))
    const isNumber = /[\d.]$/.test(bare.slice(0, match.index))
    if (isCall || isNumber || KEYWORDS.has(metric)) continue
    const labels = [...body.matchAll(/(\w+)\s*[!=]/g)].map(([, label]) => String(label))
    found.push({ metric, labels })
  }
  return found
}

/** The labels that an expression groups or joins by. */
export function groupedBy(expression: string): string[] {
  return [...expression.matchAll(/\b(?:by|on)\s*\(([^)]*)\)/g)].flatMap(([, names = '']) =>
    names
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  )
}
