import fc from 'fast-check'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
type Path = readonly (string | number)[]

/** Values that are likely to be just right, or just wrong, somewhere in a message. */
const values: readonly Json[] = [
  [null, true, false, 0, -1, 1, 2, 1.5, 499, 500, 1023, 1024, 1e300],
  [2 ** 53 - 1, 2 ** 53, -(2 ** 53) + 1, -(2 ** 53)],
  ['', 'x', 'default', '_all', 'Upper', 'with space', '1000.aa', '1000.AA', '1000', 'ready'],
  ['revoked', 'expired', 'revocations', 'expiries', 'release', 'logout', 'no-reason'],
  [40, 41, 64, 65, 128, 129, 256, 257].map((length) => 'a'.repeat(length)),
  ['a\nb', 'a\u2028b', 'a\ud800b', 'naïve'],
  [[], {}, [1], ['x'], [null], { a: 'x' }, { a: {} }, { a: 1, b: 2, c: 3, d: 4 }],
].flat(1)
const names = ['x', 'sub', 'with space', '__proto__', '0', '1', '01', 'a'.repeat(65), 'reason']

export interface NearMiss {
  readonly value: unknown
  /** Where it was changed. */
  readonly path: Path
}

/** A valid value with one member changed, left out or added. */
export function nearMiss(valid: fc.Arbitrary<unknown>): fc.Arbitrary<NearMiss> {
  return fc
    .record({
      valid,
      at: fc.nat(),
      how: fc.constantFrom('change', 'change', 'change', 'leave out', 'add'),
      value: fc.constantFrom(...values),
      name: fc.constantFrom(...names),
    })
    .map(({ valid: message, at, how, value, name }) => {
      const copy = JSON.parse(JSON.stringify(message)) as Json
      const paths = [...pathsIn(copy)]
      const path = paths[at % paths.length] ?? []
      if (path.length === 0) return how === 'add' ? { value: copy, path } : { value, path }
      return how === 'add' ? added(copy, path, name, value) : changed(copy, path, how, value)
    })
}

function* pathsIn(value: Json, path: Path = []): Generator<Path> {
  yield path
  if (typeof value !== 'object' || value === null) return
  for (const [key, member] of Object.entries(value)) {
    yield* pathsIn(member, [...path, Array.isArray(value) ? Number(key) : key])
  }
}

function at(root: Json, path: Path): Record<string | number, Json> {
  let found = root
  for (const key of path) found = (found as Record<string | number, Json>)[key] as Json
  return found as Record<string | number, Json>
}

function changed(root: Json, path: Path, how: string, value: Json): NearMiss {
  const parent = at(root, path.slice(0, -1))
  const key = path.at(-1) as string | number
  if (how === 'change') parent[key] = value
  else if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else delete parent[key]
  return { value: root, path }
}

function added(root: Json, path: Path, name: string, value: Json): NearMiss {
  const target = at(root, path)
  if (Array.isArray(target)) target.push(value)
  else if (typeof target === 'object' && target !== null) {
    // As JSON.parse does it, so that `__proto__` is a member like any other.
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true })
  }
  return { value: root, path: [...path, name] }
}
