import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { checkout } from './checkout.ts'

/**
 * `npm run simulate [-- --runs N] [--seed FIRST]`: Knell's protocol in a world made of one seed. What it does
 * is in docs/simulation.md.
 */
await import(pathToFileURL(join(checkout, 'dist', 'test', 'simulation', 'main.js')).href)
