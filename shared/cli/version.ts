import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout } from './checkout.ts'

/** The version of this package. */
export const knellVersion: string = (
  JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string }
).version
