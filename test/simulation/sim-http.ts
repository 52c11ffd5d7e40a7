import { EventEmitter } from 'node:events'
import http from 'node:http'
import { Readable } from 'node:stream'
import type { Actor, World } from './world.ts'

export interface Answer {
  readonly status: number
  readonly body: string
}

export interface Call {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
}

/** An actor that answers calls. */
export interface Served extends Actor {
  serve(call: Call): Promise<Answer>
}

interface Listener {
  answered(answer: Answer, cutAt: number | undefined): void
  failed(error: Error): void
}

/** The network between HTTP clients and the processes: every message takes its time, and may be lost. */
export class SimHttp {
  readonly #world: World
  /** By host name: who listens there now. */
  readonly hosts: Map<string, Served> = new Map()
  readonly #real = http.request
  /** Told of each answer as it is made. */
  onServed: (call: Call, answer: Answer) => void = () => {}

  constructor(world: World) {
    this.#world = world
    const request = (url: URL, options: object, answered: (response: Readable) => void) =>
      new SimRequest(this, world, url, options as Options, answered)
    http.request = request as unknown as typeof http.request
  }

  close(): void {
    http.request = this.#real
  }

  /** Sends a call to whoever listens at a host; the listener hears what becomes of it, if anything does. */
  send(client: Actor, host: string, call: Call, listener: Listener): void {
    const world = this.#world
    const what = `${call.method} ${call.path.split('?')[0]}`
    if (world.crashes(client, `before ${what}`)) return
    if (world.random.chance(world.rates.httpRequestLost)) {
      world.log(`${what} of ${client.name} is lost`)
      return
    }
    world.later(world.delay(), () => {
      const server = this.hosts.get(host)
      if (server === undefined || server.isDead) {
        world.reach(client, world.delay(), () => listener.failed(new Error('connect ECONNREFUSED')))
        return
      }
      world.reach(server, 0, () => {
        void this.#serve(client, server, what, call, listener)
      })
    })
  }

  async #serve(
    client: Actor,
    server: Served,
    what: string,
    call: Call,
    listener: Listener,
  ): Promise<void> {
    try {
      const answer = await server.serve(call)
      if (server.isDead) return
      this.onServed(call, answer)
      this.#answer(client, server, what, answer, listener)
    } catch (error) {
      this.#world.violated(`${server.name} threw at ${what}: ${String(error)}`)
    }
  }

  #answer(client: Actor, server: Actor, what: string, answer: Answer, listener: Listener): void {
    const world = this.#world
    if (world.crashes(server, `after ${what}`)) return
    if (world.random.chance(world.rates.httpAnswerLost)) {
      world.log(`the answer of ${server.name} to ${what} of ${client.name} is lost`)
      return
    }
    const isCut = world.random.chance(world.rates.httpCut)
    const cutAt = isCut ? world.random.int(answer.body.length + 1) : undefined
    world.reach(client, world.delay(), () => {
      if (world.crashes(client, `after ${what}`)) return
      world.log(
        `${client.name} ${what} ${answer.status}${isCut ? ' cut off' : ''} ${answer.body.slice(0, 200)}`,
      )
      listener.answered(answer, cutAt)
    })
  }
}

interface Options {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
}

/** A client request as far as Knell's pull client uses one. */
class SimRequest extends EventEmitter {
  readonly #send: (body: string | undefined) => void
  readonly #world: World
  #isOver = false

  constructor(
    net: SimHttp,
    world: World,
    url: URL,
    { method, headers }: Options,
    answered: (response: Readable) => void,
  ) {
    super()
    this.#world = world
    const { actor } = world
    if (actor === undefined) throw new Error('Only an actor can call.')
    const path = url.pathname + url.search
    this.#send = (body) =>
      net.send(
        actor,
        url.hostname,
        { method, path, headers, body },
        {
          answered: ({ status, body: text }, cutAt) => {
            if (this.#isOver) return
            this.#isOver = true
            const response = Object.assign(streamOf(text, cutAt), { statusCode: status })
            answered(response)
            this.emit('close')
          },
          failed: (error) => this.destroy(error),
        },
      )
  }

  end(body?: string): void {
    this.#send(body)
  }

  destroy(error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    const { actor } = this.#world
    const tell = (): void => {
      this.emit('error', error)
      this.emit('close')
    }
    if (actor === undefined) tell()
    else this.#world.reach(actor, 0, tell)
  }
}

function streamOf(text: string, cutAt: number | undefined): Readable {
  if (cutAt === undefined) return Readable.from([Buffer.from(text)])
  return Readable.from(
    (function* () {
      yield Buffer.from(text.slice(0, cutAt))
      throw new Error('aborted')
    })(),
  )
}
