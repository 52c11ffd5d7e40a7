import type { Tone } from './parts/status.ts'
import type { Verdict } from './types.ts'

const tones: Readonly<Record<Verdict, Tone>> = {
  ok: 'good',
  degraded: 'attention',
  failing: 'bad',
}

export function toneOfVerdict(verdict: Verdict): Tone {
  return tones[verdict]
}
