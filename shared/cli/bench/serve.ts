import type { Answer, Call } from './child.ts'

/** Answers the calls of the process that has forked this one, and ends when that one lets go. */
export function serve(methods: Readonly<Record<string, (...args: never[]) => unknown>>): void {
  const answer = async ({ number, method, args }: Call): Promise<Answer> => {
    try {
      const value = await methods[method]?.(...(args as never[]))
      return { number, value }
    } catch (error) {
      return { number, error: error instanceof Error ? (error.stack ?? '') : String(error) }
    }
  }
  process.on('message', (message) => {
    void answer(message as Call).then((text) => process.send?.(text))
  })
  process.on('disconnect', () => process.exit(0))
}
