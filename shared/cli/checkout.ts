import { fileURLToPath } from 'node:url'

/** The folder of this checkout, ending in a slash. Compiled files lie three folders below it. */
export const checkout: string = fileURLToPath(new URL('../../../', import.meta.url))

/** Where the compiled files of this checkout lie, ending in a slash. */
export const compiled: string = fileURLToPath(new URL('../../', import.meta.url))
