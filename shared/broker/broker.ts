import {
  connect,
  type Channel,
  type ChannelModel,
  type ConfirmChannel,
  type RecoveringChannelModel,
} from 'amqplib'
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { KnellError } from '../domain/errors.ts'
import { createTlsClient, type TlsClient } from '../tls/tls-client.ts'
import { toBrokerError } from './broker-error.ts'

const SETUP_TIMEOUT_MS = 15_000
const CLOSE_TIMEOUT_MS = 3000

/** A live connection, as a setup function gets it. Every channel it makes has its listeners. */
export interface Link {
  /** With `mayFail` an error closes that channel only, as its user expects. */
  createChannel(options?: { mayFail?: boolean }): Promise<Channel>
  createConfirmChannel(): Promise<ConfirmChannel>
  /** Rejects when this connection ends. */
  readonly dead: Promise<never>
  /** Gives the connection up, so that it is made anew. */
  fail(error: Error): void
}

interface BrokerEvents {
  up: []
  down: [Error | undefined]
  problem: [KnellError]
  blocked: [string]
  unblocked: []
}

/**
 * A connection to RabbitMQ that is always being kept: made again with back-off and jitter whenever
 * it ends, and set up anew each time by the functions given to `use`. A channel that the broker
 * closes ends the connection too: one way of recovery serves every fault.
 */
export class Broker extends EventEmitter<BrokerEvents> {
  readonly #url: string
  readonly #name: string
  readonly #tls: TlsClient | undefined
  readonly #setups: ((link: Link) => Promise<void>)[] = []
  #model: RecoveringChannelModel | undefined
  #up = false
  #closed = false
  #blocked = false

  /** `tls` is used where the URL is `amqps://`; without it TLS is as Node does it. */
  constructor(url: string, name: string, tls?: TlsClient) {
    super()
    this.#url = withHeartbeat(url)
    this.#name = name
    this.#tls = this.#url.startsWith('amqps:') ? (tls ?? createTlsClient()) : undefined
  }

  get isUp(): boolean {
    return this.#up
  }

  get isBlocked(): boolean {
    return this.#blocked
  }

  /** Adds what is to be done on every new connection, in order. To be called before `start`. */
  use(setup: (link: Link) => Promise<void>): void {
    this.#setups.push(setup)
  }

  /** Begins connecting; returns at once, and never fails for a broker that is away. */
  async start(): Promise<void> {
    const model = await connect(this.#url, {
      ...this.#tls?.options,
      timeout: 5000,
      noDelay: true,
      keepAlive: true,
      clientProperties: { connection_name: this.#name },
      recovery: {
        waitForConnect: false,
        initialDelay: 100,
        maxDelay: 5000,
        setup: async (model: ChannelModel) => this.#setup(model),
      },
    })
    this.#model = model
    model.on('error', () => {})
    model.on('disconnect', (error?: Error) => this.#wentDown(error))
    model.on('connect-failed', (error: Error) => {
      this.#wentDown(error)
      if (!this.#closed) this.emit('problem', toBrokerError(error))
    })
  }

  async #setup(model: ChannelModel): Promise<void> {
    // A socket that dies while this runs has no listener yet: without one the process would end.
    model.on('error', () => {})
    const dead = new Promise<never>((_, reject) => {
      model.once('close', (error?: Error) =>
        reject(error ?? new Error('The connection was closed.')),
      )
    })
    dead.catch(() => {})
    const fail = (error: Error): void => {
      if (!this.#closed) this.emit('problem', toBrokerError(error))
      // A polite close would wait for a peer that may be silent.
      const { stream } = model.connection as unknown as { stream: Socket }
      stream.destroy(error)
    }
    model.on('blocked', (reason: string) => {
      this.#blocked = true
      this.emit('blocked', reason)
    })
    model.on('unblocked', () => {
      this.#blocked = false
      this.emit('unblocked')
    })
    const link: Link = {
      dead,
      fail,
      createChannel: async ({ mayFail = false } = {}) =>
        this.#guard(await model.createChannel(), mayFail ? () => {} : fail),
      createConfirmChannel: async () => this.#guard(await model.createConfirmChannel(), fail),
    }
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error('Setting up the connection took too long.')),
        SETUP_TIMEOUT_MS,
      )
    })
    try {
      for (const setup of this.#setups) await Promise.race([dead, late, setup(link)])
    } finally {
      clearTimeout(timer)
    }
    this.#up = true
    this.emit('up')
  }

  #guard<C extends Channel>(channel: C, fail: (error: Error) => void): C {
    let failed: Error | undefined
    channel.on('error', (error: Error) => {
      failed = error
    })
    channel.on('close', () => {
      if (failed !== undefined) fail(failed)
    })
    return channel
  }

  #wentDown(error: Error | undefined): void {
    this.#blocked = false
    if (!this.#up) return
    this.#up = false
    this.emit('down', error)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const model = this.#model
    if (model === undefined) return
    await within(CLOSE_TIMEOUT_MS, model.close()).catch(() => {})
    this.#wentDown(undefined)
  }
}

/** A promise that also ends when the time is up. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new KnellError('broker_unavailable', `No answer within ${ms} ms.`)),
      ms,
    )
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

function withHeartbeat(text: string): string {
  const url = new URL(text)
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', '10')
  return url.toString()
}
