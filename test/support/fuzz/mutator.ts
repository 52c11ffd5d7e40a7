import fc from 'fast-check'
import { dictionary } from './dictionary.ts'

/**
 * A byte mutator as an arbitrary of fast-check, whose seed, replay and shrinking it so has: a failing
 * input is brought down to the few steps that matter. The fuzzers of npm are not kept up any more.
 */

const steps = [
  'flip',
  'byte',
  'insert',
  'overwrite',
  'number',
  'string',
  'member',
  'drop',
  'truncate',
  'repeat',
  'swap',
  'splice',
] as const

interface Step {
  readonly how: (typeof steps)[number]
  /** Where it happens, and a second place; taken modulo what there is. */
  readonly at: number
  readonly to: number
  readonly token: Buffer
  /** What is spliced in. */
  readonly other: Buffer
}

/** No input grows beyond this, whatever is repeated in it. */
const MAX_BYTES = 400_000

/** Inputs that began as one of the corpus: as it is, or changed in up to `most` steps. */
export function mutated(
  corpus: readonly (string | Uint8Array)[],
  { most = 4 }: { readonly most?: number } = {},
): fc.Arbitrary<Buffer> {
  const seeds = corpus.map((one) => Buffer.from(one as string))
  const seed = fc.constantFrom(...seeds)
  const step: fc.Arbitrary<Step> = fc.record({
    how: fc.constantFrom(...steps),
    at: fc.nat(),
    to: fc.nat(),
    token: fc.constantFrom(...dictionary),
    other: seed,
  })
  return fc
    .tuple(seed, fc.array(step, { maxLength: most }))
    .map(([start, path]) => path.reduce(mutate, start).subarray(0, MAX_BYTES))
}

function mutate(input: Buffer, { how, at, to, token, other }: Step): Buffer {
  const here = input.length === 0 ? 0 : at % (input.length + 1)
  const far = input.length === 0 ? 0 : to % (input.length + 1)
  const [from, until] = here < far ? [here, far] : [far, here]
  const replace = (start: number, end: number, by: Uint8Array): Buffer =>
    Buffer.concat([input.subarray(0, start), by, input.subarray(end)])
  switch (how) {
    case 'flip': {
      const copy = Buffer.from(input)
      if (here < copy.length) copy[here] = (copy[here] ?? 0) ^ (1 << (to % 8))
      return copy
    }
    case 'byte':
      return replace(here, here + 1, Buffer.of(to % 256))
    case 'insert':
      return replace(here, here, token)
    case 'overwrite':
      return replace(here, here + token.length, token)
    case 'number':
      return atWord(input, /-?\d[\d.eE+-]*/g, at, token)
    case 'string':
      return atWord(input, /(?<=")[^"\\]*(?=")/g, at, token)
    case 'member':
      return atWord(input, /(?<=\{)/g, at, token)
    case 'drop':
      return replace(from, Math.min(until, from + 1 + (to % 64)), Buffer.alloc(0))
    case 'truncate':
      return input.subarray(0, here)
    case 'repeat': {
      const part = input.subarray(from, until)
      return replace(until, until, Buffer.concat(Array.from({ length: 1 + (at % 40) }, () => part)))
    }
    case 'swap':
      return Buffer.concat([input.subarray(here), input.subarray(0, here)])
    case 'splice':
      return Buffer.concat([input.subarray(0, here), other.subarray(to % (other.length + 1))])
  }
}

/** Puts a token in the place of one of the words of a text; bytes that are none of UTF-8 stay what they are. */
function atWord(input: Buffer, words: RegExp, at: number, token: Buffer): Buffer {
  const found = [...input.toString('latin1').matchAll(words)]
  const word = found[at % Math.max(found.length, 1)]
  if (word === undefined) return input
  const end = word.index + word[0].length
  return Buffer.concat([input.subarray(0, word.index), token, input.subarray(end)])
}
