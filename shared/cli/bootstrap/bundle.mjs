import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'

/** It is not installed yet when this file is loaded. */
const require = createRequire(import.meta.url)

/** Where in `dist` the bundles lie. */
export const bundles = 'lib'

/**
 * Makes of each module that `package.json` exports one file below `<out>/lib`, and of what several of
 * them share another, so that a class is one class whatever way it comes: a service that connects loads
 * a few files, not a hundred, which would be most of its start. Packages stay what is imported.
 * @param {string} checkout
 * @param {string} out
 */
export function bundle(checkout, out) {
  const entryPoints = entriesOf(checkout)
  if (Object.keys(entryPoints).length === 0) return
  const { buildSync } = require('esbuild')
  const { outputFiles } = buildSync({
    absWorkingDir: checkout,
    entryPoints,
    outdir: join('dist', bundles),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    sourcemap: true,
    write: false,
    logLevel: 'silent',
  })
  mkdirSync(join(out, bundles), { recursive: true })
  for (const { path, contents } of outputFiles) {
    writeFileSync(join(out, bundles, basename(path)), contents)
  }
}

/**
 * The source of each export that is a bundle, by the name of the bundle. Its types say which source.
 * @param {string} checkout
 * @returns {Record<string, string>}
 */
function entriesOf(checkout) {
  const { exports = {} } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'))
  /** @type {Record<string, string>} */
  const entries = {}
  for (const { default: file = '', types = '' } of Object.values(exports)) {
    if (dirname(file) !== `./dist/${bundles}`) continue
    entries[basename(file, '.js')] = types.replace('./dist/', '').replace(/\.d\.ts$/, '.ts')
  }
  return entries
}
