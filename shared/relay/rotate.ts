export interface Rotated<Item> {
  /** Whether the time was up before everything was done. */
  readonly left: boolean
  /** What failed, and why. */
  readonly failed: ReadonlyMap<Item, Error>
}

/**
 * Takes items in turn, one step each, `atOnce` at a time: an item with much to do is put behind the
 * others after each step, so that it delays none of them for longer. A step says whether its item
 * has more to do; one that fails is done with, and stops no other. After `forMs` no further step begins.
 */
export async function rotate<Item>(
  items: readonly Item[],
  options: { readonly atOnce: number; readonly forMs: number },
  step: (item: Item) => Promise<boolean>,
): Promise<Rotated<Item>> {
  const ends = performance.now() + options.forMs
  const queue = [...items]
  const failed = new Map<Item, Error>()
  let next = 0
  const work = async (): Promise<void> => {
    while (next < queue.length && performance.now() < ends) {
      const item = queue[next++] as Item
      try {
        if (await step(item)) queue.push(item)
      } catch (error) {
        failed.set(item, error instanceof Error ? error : new Error(String(error)))
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(options.atOnce, queue.length) }, work))
  return { left: next < queue.length, failed }
}

/** One pass over what is found, looked for anew after every `lookMs` until nothing is left; what failed is left out of it. */
export async function rotateAll<Item extends object>(
  find: () => Promise<readonly Item[]>,
  options: {
    readonly atOnce: number
    readonly lookMs: number
    readonly keyOf: (item: Item) => string
    readonly isOver?: () => boolean
  },
  step: (item: Item) => Promise<boolean>,
): Promise<{ problem?: Error }> {
  const { atOnce, lookMs, keyOf, isOver = () => false } = options
  const problems = new Map<string, Error>()
  for (;;) {
    const found = (await find()).filter((item) => !problems.has(keyOf(item)))
    const { left, failed } = await rotate(found, { atOnce, forMs: lookMs }, step)
    for (const [item, problem] of failed) problems.set(keyOf(item), problem)
    if (left && !isOver()) continue
    const [problem] = problems.values()
    return problem === undefined ? {} : { problem }
  }
}
