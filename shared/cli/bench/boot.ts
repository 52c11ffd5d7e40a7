import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { DEFAULT_TENANT } from '../../domain/tenant.ts'
import { namesOf } from '../../domain/names.ts'
import { livesOf } from '../../store/lives.ts'
import { clearAfterDeath } from '../engines/leftovers.ts'
import { judgeAim } from './aims.ts'
import { knellEnv, openNotifier, secret, type Bench } from './bench-context.ts'
import { openChild } from './child.ts'
import { awaitRest, holdRewrites, openRedis } from './redis-info.ts'
import type { CaseResult } from './result.ts'
import { ratiosOf, show, showSpread, spreadOf } from './statistics.ts'
import { openServices } from './store-services.ts'
import { jtiOf } from './tokens.ts'
import type { ViewProgram } from './view.ts'

const AT_ONCE = 8000

/** From the start of a consuming process to ready: with an empty store beside bare amqplib, and with very many rules. */
export async function runBoot(bench: Bench): Promise<CaseResult> {
  const { engines, sizes, say } = bench
  const { runs, rules, fullRuns } = sizes.boot
  const { amqpUrl, namespace } = engines
  const redis = openRedis(bench)
  await holdRewrites(bench, redis)
  const notifier = await openNotifier(bench)
  const bare = (): Promise<number> =>
    readyMs('boot-bare', [amqpUrl, namesOf(namespace).revocations])
  const subscriber = (): Promise<number> =>
    readyMs('boot-subscriber', [amqpUrl, namespace, notifier.url, secret])
  const [knell, floor]: [number[], number[]] = [[], []]
  // The first of each warms up.
  for (let run = 0; run <= runs; run++) {
    say(`boot: run ${run} of ${runs}`)
    const [a, b] =
      run % 2 === 0 ? [await subscriber(), await bare()] : swap(await bare(), await subscriber())
    if (run === 0) continue
    knell.push(a)
    floor.push(b)
  }

  say(`boot: revoking ${rules} tokens`)
  await revokeMany(bench, rules)
  await awaitRest(redis)
  const full: number[] = []
  for (let run = 1; run <= fullRuns; run++) {
    say(`boot: with ${rules} rules, run ${run} of ${fullRuns}`)
    const view = openChild<ViewProgram>('view', { execArgv: ['--expose-gc'] })
    try {
      const options = { amqpUrl, namespace, url: notifier.url, apiKey: secret }
      const booted = await view.call('boot', options)
      if (booted.rules !== rules) throw new Error(`The view has ${booted.rules} of ${rules} rules.`)
      full.push(booted.bootMs)
    } finally {
      await view.stop()
    }
  }

  const [own, least, boots] = [spreadOf(knell), spreadOf(floor), spreadOf(full)]
  const ratio = ratiosOf(knell, floor)
  return {
    record: {
      case: 'boot',
      unit: 'ms',
      knell: {
        readyMs: own.median,
        readyMsRange: own.range,
        runs,
        fullMs: boots.median,
        fullMsRange: boots.range,
        rules,
      },
      floor: { readyMs: least.median, readyMsRange: least.range },
      ratioToFloor: ratio.median,
      ratioRange: ratio.range,
    },
    rows: [
      {
        what: 'process start → ready, empty store, ms',
        knell: showSpread(own),
        floor: showSpread(least),
        ratio: `${showSpread(ratio)} × floor`,
        aim: judgeAim('boot.ready', ratio.median),
      },
      {
        what: `connect → ready with ${show(rules)} rules, ms`,
        knell: showSpread(boots),
        aim: judgeAim('boot.rules', boots.median / 1000),
      },
    ],
    notes: [
      `${runs} runs of each in turns, process start included; the floor is a program that connects with amqplib, declares, binds and consumes a queue of its own. The rules are revoked jtis in the store, served by one notifier to one view (${fullRuns} runs); Redis, notifier and view share the cores.`,
    ],
  }
}

function swap(b: number, a: number): [number, number] {
  return [a, b]
}

/** ms from the start of a program of this folder until it says that it is ready. */
async function readyMs(program: string, args: readonly string[]): Promise<number> {
  const file = fileURLToPath(new URL(`${program}.js`, import.meta.url))
  const started = performance.now()
  const child = fork(file, args, {
    execArgv: [],
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const forget = child.pid ? clearAfterDeath({ kind: 'group', pid: child.pid }) : () => {}
  const exited = once(child, 'exit')
  const ready = await Promise.race([once(child, 'message'), exited.then(() => undefined)])
  const ms = performance.now() - started
  if (child.connected) child.disconnect()
  await exited
  forget()
  if (ready === undefined) throw new Error(`${program} ended before it was ready.`)
  return ms
}

/** Revokes tokens one by one, as the notifier does, but without HTTP: what is stored is the same. */
async function revokeMany(bench: Bench, count: number): Promise<void> {
  const services = await openServices(knellEnv(bench), bench.scope)
  const settings = services.settings.tenants.get(DEFAULT_TENANT)
  if (settings === undefined) throw new Error('There is no tenant.')
  const lives = await livesOf(services, settings)
  for (let from = 0; from < count; from += AT_ONCE) {
    const size = Math.min(AT_ONCE, count - from)
    const revocations = Array.from({ length: size }, (_, i) =>
      services.rules.revoke(DEFAULT_TENANT, {
        op: 'revoke',
        match: { jti: jtiOf(from + i) },
        reason: 'logout',
        ...lives,
      }),
    )
    await Promise.all(revocations)
  }
  await services.relay.settled()
}
