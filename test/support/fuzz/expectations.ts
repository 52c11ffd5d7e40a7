import { expect } from 'chai'
import { isKnellError, type ErrorCode } from '../../../shared/domain/errors.ts'

/** What every parser is held to. */

const bare = new Map<object, string>(
  [Object.prototype, Array.prototype, Function.prototype, String.prototype, Map.prototype].map(
    (prototype) => [prototype, Reflect.ownKeys(prototype).map(String).join()],
  ),
)

/** Nothing was added to what all objects share. */
export function expectNoPollution(): void {
  for (const [prototype, keys] of bare) {
    expect(Reflect.ownKeys(prototype).map(String).join()).to.equal(keys)
  }
}

/** No object within a value got its prototype from an input. */
export function expectOwnPrototypes(value: unknown, depth = 0): void {
  if (typeof value !== 'object' || value === null || depth > 50) return
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype !== null && prototype !== Object.prototype && !Array.isArray(value)) {
    // Of a class, then; what a JSON text could set is a plain object.
    expect(Object.hasOwn(prototype, 'constructor'), 'a prototype from an input').to.equal(true)
    return
  }
  for (const member of Object.values(value)) expectOwnPrototypes(member, depth + 1)
}

/**
 * Runs a parser that either reads an input or refuses it with one of these codes. Answers what was read,
 * or undefined.
 */
export function readOrRefuse<T>(parse: () => T, codes: readonly ErrorCode[]): T | undefined {
  let read: T
  try {
    read = parse()
  } catch (error) {
    if (isKnellError(error) && codes.includes(error.code)) {
      // Of a configuration every problem is told at once; whoever calls is not told back all that was sent.
      if (error.code !== 'config_invalid') expect(error.message).to.have.length.below(2000)
      return undefined
    }
    throw error
  } finally {
    expectNoPollution()
  }
  expectOwnPrototypes(read)
  return read
}
