import { expect } from 'chai'
import { parseBeat, type Tail } from '../../../shared/domain/beat.ts'
import { parseEntry } from '../../../shared/domain/entry.ts'
import { formatPosition } from '../../../shared/domain/position.ts'
import { StoreClock } from '../../../shared/domain/store-clock.ts'
import { View } from '../../../shared/domain/view.ts'
import { digestOf } from '../../../shared/signing/digest.ts'
import { readPinnedKeys } from '../../../shared/signing/event-keys.ts'
import { EventVerifier } from '../../../shared/signing/event-verifier.ts'
import { Checker } from '../../../shared/subscriber/checker.ts'
import { parseFeedPage } from '../../../shared/subscriber/messages.ts'
import { readSnapshot, rulesIn } from '../../../shared/subscriber/snapshot-reader.ts'
import { createChecker } from '../../support/contract-schemas.ts'
import { signatures, vectorFiles, type Step, type VectorCase } from '../../support/vectors.ts'

const TENANT = 'default'
const START = { mono: 0, wall: 0 }
const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** Runs a case through the view and the checker that subscribers have. */
class Run {
  readonly #view = new View(TENANT)
  readonly #clock = new StoreClock()
  readonly #checker = new Checker({ clock: this.#clock, observe: false, log: silent })
  #heard: readonly Tail[] = []
  #now: number

  constructor({ now }: VectorCase) {
    this.#now = now
  }

  async step(step: Step): Promise<void> {
    if (step.snapshot !== undefined) await this.#snapshot(step.snapshot)
    else if (step.entry !== undefined) this.#entry(step.entry)
    else if (step.beat !== undefined) {
      const beat = parseBeat(step.beat)
      this.#view.hear(beat)
      this.#heard = beat.tails.revocations
    } else if (step.page !== undefined) {
      const { page } = parseFeedPage(step.page, TENANT, 'revocations')
      this.#view.applyPage(page)
      this.#heard = page.tails
    } else if (step.now !== undefined) this.#now = step.now
    else if (step.check !== undefined) this.#check(step.check)
    else if (step.state !== undefined) this.#expectState(step.state)
    else expect.fail(`no step is called ${Object.keys(step).join()}`)
  }

  async #snapshot(lines: readonly unknown[]): Promise<void> {
    const bytes = [Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))]
    let count = 0
    for await (const part of readSnapshot(toAsync(bytes), TENANT)) {
      for (const line of part.lines) {
        if ('run' in line) this.#view.putRun(line.run, () => {})
        else this.#view.putRule(line.shard, line.position, line.rule)
      }
      count += rulesIn(part.lines)
      if (part.count !== count) continue
      this.#view.endSnapshot(part.head)
      this.#heard = part.head.tails.revocations
    }
  }

  #entry(raw: Readonly<Record<string, unknown>>): void {
    try {
      const entry = parseEntry(raw)
      if (entry.tenant === TENANT) this.#view.apply(entry)
    } catch {
      // What does not follow the contract is dropped, and its position not passed.
    }
  }

  #check({ claims, header, maxStalenessMs, expect: wanted }: NonNullable<Step['check']>): void {
    const now = this.#now * 1000
    this.#clock.set(now, START, START)
    const checked = {
      view: this.#view,
      staleMs: () => now - this.#view.asOf,
      isUnheard: () => false,
    }
    const policy = { maxStaleness: maxStalenessMs ?? Infinity, whenStale: 'reject' } as const
    const { active, code, reason } = this.#checker.decide(checked, claims, header, policy, START)
    const found = reason === undefined ? { active, code } : { active, code, reason }
    expect(found, JSON.stringify(claims)).to.deep.equal(wanted)
  }

  #expectState(wanted: Readonly<Record<string, unknown>>): void {
    const { ready, needsSnapshot, asOf, revocations } = this.#view
    const isBehind = revocations.compare(this.#heard) === 'behind'
    const found: Readonly<Record<string, unknown>> = {
      ready,
      needsSnapshot,
      asOf,
      positions: this.#view.positions('revocations').map(formatPosition),
      missing: revocations.hasHole || isBehind,
    }
    for (const [name, value] of Object.entries(wanted)) {
      expect(found[name], name).to.deep.equal(value)
    }
  }
}

async function* toAsync<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
  await Promise.resolve()
}

describe('the vectors', () => {
  const checkOf = createChecker({ closed: true })

  for (const [file, { cases }] of Object.entries(vectorFiles)) {
    describe(file, () => {
      for (const each of cases) {
        it(each.name, async () => {
          const run = new Run(each)
          for (const [index, step] of each.steps.entries()) {
            try {
              await run.step(step)
            } catch (error) {
              throw new Error(`step ${index + 1}: ${(error as Error).message}`, { cause: error })
            }
          }
        })
      }

      it('has messages that follow the schemas, but for those that are about that', () => {
        for (const { name, steps } of cases) {
          if (/later version|does not follow|nobody knows/.test(name)) continue
          for (const { snapshot = [], entry, beat, page } of steps) {
            const problems = [
              ...snapshot.flatMap((line) => checkOf('snapshot-line.json')(line)),
              ...(entry === undefined ? [] : checkOf('entry.json')(entry)),
              ...(beat === undefined ? [] : checkOf('beat.json')(beat)),
              ...(page === undefined ? [] : checkOf('feed-page.json')(page)),
            ]
            expect(problems, name).to.deep.equal([])
          }
        }
      })
    })
  }

  describe('signatures.json', () => {
    const keys = readPinnedKeys(signatures.keys)
    const verifier = new EventVerifier(keys, signatures.namespace)
    for (const { name, kind, body, signature, expect: wanted } of signatures.signatures) {
      it(name, () => {
        expect(verifier.verify(kind, Buffer.from(body), signature)).to.equal(wanted)
      })
    }

    it('gives the digests of lines', () => {
      for (const { lines, sha256 } of signatures.digests) {
        expect(digestOf(lines)).to.equal(sha256)
      }
    })
  })
})
