/**
 * Takes items in turn, one step each, `atOnce` at a time: an item with much to do is put behind the
 * others after each step, so that it delays none of them for longer. A step says whether its item
 * has more to do; one that fails is done with, stops no other, and is thrown when all have ended.
 * After `forMs` no further step begins; answers whether something was left.
 */
export async function rotate<Item>(
  items: readonly Item[],
  options: { readonly atOnce: number; readonly forMs: number },
  step: (item: Item) => Promise<boolean>,
): Promise<boolean> {
  const ends = performance.now() + options.forMs
  const queue = [...items]
  const errors: unknown[] = []
  let next = 0
  const work = async (): Promise<void> => {
    while (next < queue.length && performance.now() < ends) {
      const item = queue[next++] as Item
      try {
        if (await step(item)) queue.push(item)
      } catch (error) {
        errors.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(options.atOnce, queue.length) }, work))
  if (errors.length > 0) throw errors[0]
  return next < queue.length
}
