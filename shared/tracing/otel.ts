import type * as Api from '@opentelemetry/api'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
let api: typeof Api | undefined

/** The API of OpenTelemetry, loaded by who first makes a span: at every start a service would wait for it. */
export function otel(): typeof Api {
  return (api ??= require('@opentelemetry/api') as typeof Api)
}

/** Where version 1 of the API keeps what an SDK has registered, for all copies of it in a process. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

/** Whether somebody traces: without an SDK a span is nothing, and the API need not be there. */
export function isTraced(): boolean {
  return REGISTERED in globalThis
}
