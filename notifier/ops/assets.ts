import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The compiled code of the browser, its style sheets and icon; the build puts them there. */
const ROOT = fileURLToPath(new URL('browser', import.meta.url))
/** The charts come from the package as they are; the browser finds them by the path that its code imports. */
const CHARTS = dirname(fileURLToPath(import.meta.resolve('uplot')))
/** The login page's own, and the one that is no module. */
const SCRIPTS = ['login.js', 'theme.js']
const CHART_FILES = ['uPlot.esm.js', 'uPlot.min.css']

/** The files of the dashboard, which hold no data and are the same for everybody. */
export interface Assets {
  /** The path under which a file is served, such as `main.js`. */
  readonly urlOf: (file: string) => string
  /** All compiled modules, so that a page can ask for them at once. */
  readonly modules: readonly string[]
}

/**
 * Serves the files under a path that names their content, so that browsers may keep them for ever.
 * The path of another version, which a page got from another notifier while they are upgraded one
 * after the other, leads to this one's.
 */
export async function addAssets(scope: FastifyInstance): Promise<Assets> {
  const files = readdirSync(ROOT, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .toSorted()
  const hash = createHash('sha256')
  for (const file of files) hash.update(`${file}\n`).update(readFileSync(join(ROOT, file)))
  for (const file of CHART_FILES) hash.update(readFileSync(join(CHARTS, file)))
  const version = hash.digest('hex').slice(0, 12)
  const prefix = `/ops/assets/${version}/`

  await scope.register(async (open) => {
    open.addHook('onRoute', (route) => {
      route.config = { ...route.config, isOpen: true }
    })
    const lasting = { immutable: true, maxAge: '1y', decorateReply: false, index: false } as const
    await open.register(fastifyStatic, { ...lasting, root: ROOT, prefix, wildcard: false })
    await open.register(fastifyStatic, {
      ...lasting,
      root: CHARTS,
      prefix: `${prefix}vendor/`,
      allowedPath: (path) => CHART_FILES.includes(path.replace(/^\//, '')),
    })
    open.get<{ Params: { version: string; '*': string } }>(
      '/ops/assets/:version/*',
      (request, reply) => {
        const file = request.params['*']
        const isKnown = files.includes(file) || CHART_FILES.includes(file.replace(/^vendor\//, ''))
        if (request.params.version === version || !isKnown) return reply.callNotFound()
        return reply.redirect(`${prefix}${file}`)
      },
    )
  })
  return {
    urlOf: (file) => prefix + file,
    modules: files.filter((file) => file.endsWith('.js') && !SCRIPTS.includes(file)),
  }
}
