import type { Case } from './bench-context.ts'
import { runBoot } from './boot.ts'
import { runBytes } from './bytes.ts'
import { runCheck } from './check.ts'
import { runCrowd } from './crowd.ts'
import { runExpiry } from './expiry.ts'
import { runProof } from './proof.ts'
import { runPush } from './push.ts'
import { runRevoke } from './revoke.ts'
import { runSignals } from './signals.ts'
import { runSigning } from './signing.ts'
import { runStrategies } from './strategies.ts'
import { runSweep } from './sweep.ts'

/** In the order in which they run where none is named. */
export const cases: readonly Case[] = [
  { name: 'push', title: 'Push: one revocation on its way', run: runPush },
  { name: 'signing', title: 'Signing: what it adds to a push', run: runSigning },
  { name: 'proof', title: 'Proof: waiting until all have applied it', run: runProof },
  { name: 'revoke', title: 'Revoke: many at once', run: runRevoke },
  { name: 'expiry', title: 'Expiry: everything due in one second', run: runExpiry },
  { name: 'check', title: 'Check: a decision from memory', run: runCheck },
  { name: 'bytes', title: 'Bytes: what one token costs', run: runBytes },
  { name: 'boot', title: 'Boot: from start to ready', run: runBoot },
  { name: 'signals', title: 'Signals: waiting for the death of very many', run: runSignals },
  { name: 'sweep', title: 'Sweep: what the push path missed', run: runSweep },
  { name: 'crowd', title: 'Crowd: many instances, many tenants', run: runCrowd },
  { name: 'strategies', title: 'Strategies: refusing the dead, side by side', run: runStrategies },
]
