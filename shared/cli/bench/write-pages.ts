import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkout } from '../checkout.ts'
import { figuresOf, headlineOf, toJsonLines, withFigures, type Run } from './page.ts'
import { scalingOf } from './scaling.ts'

export const jsonPath: string = join(checkout, 'docs', 'performance.json')

/** The pages that have figures, and which. */
export const figurePages: readonly {
  readonly path: string
  readonly figures: (run: Run) => string
}[] = [
  { path: join(checkout, 'docs', 'performance.md'), figures: figuresOf },
  { path: join(checkout, 'docs', 'scaling.md'), figures: scalingOf },
  { path: join(checkout, 'README.md'), figures: headlineOf },
]

export async function writePages(run: Run): Promise<void> {
  await writeFile(jsonPath, toJsonLines(run))
  for (const { path, figures } of figurePages) {
    await writeFile(path, withFigures(await readFile(path, 'utf8'), figures(run)))
  }
}
