import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import type { ApiKey } from '../../shared/config/api-keys.ts'
import { isKnellError } from '../../shared/domain/errors.ts'
import { Loop } from '../../shared/relay/loop.ts'
import { planReads, topics, type Topic } from './topics.ts'

const TICK_MS = 1000
/** Silence that a proxy, or a browser that watches for it, takes for the end is broken this often. */
const HEARTBEAT_MS = 10_000
const RETRY_MS = 2000
/** A viewer that has not taken what it was sent for this long is let go; it comes again by itself. */
const STUCK_MS = 30_000

interface Viewer {
  readonly request: FastifyRequest
  readonly response: ServerResponse
  stuckSince: number | undefined
}

/** Viewers who may see the same of the same tenant share what is read for them. */
interface Room {
  readonly tenant: string
  readonly viewers: Set<Viewer>
  readonly readAt: Map<Topic, number>
  readonly last: Map<Topic, string>
  /** What is being read, so that one that is slow is not asked for twice and holds up no other. */
  readonly reading: Map<Topic, Promise<void>>
  /** The look under way at who is still logged in. */
  looking: Promise<void> | undefined
}

/**
 * Streams what the first screen shows (server-sent events, HTML Living Standard, section 9.2). While
 * somebody looks, what is due is read once for all viewers with the same rights, by the ordinary
 * calls of the API; while nobody does, nothing is read. Each event is the whole state of its topic,
 * so one that was missed needs no replay.
 */
export class EventHub {
  readonly #app: FastifyInstance
  readonly #log: Logger
  readonly #ownRead: (request: FastifyRequest) => Record<string, string>
  readonly #rooms = new Map<string, Room>()
  readonly #loop: Loop
  #lastId = 0
  #stopped = false
  #beatAt = 0

  constructor(options: {
    app: FastifyInstance
    log: Logger
    /** The headers with which a viewer's calls are made for it. */
    ownRead: (request: FastifyRequest) => Record<string, string>
  }) {
    this.#app = options.app
    this.#log = options.log
    this.#ownRead = options.ownRead
    this.#loop = new Loop('dashboard', TICK_MS, () => this.runOnce(), options.log)
  }

  add(request: FastifyRequest, reply: FastifyReply, key: ApiKey, tenant: string): void {
    reply.hijack()
    const { raw: response } = reply
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) response.setHeader(name, value)
    }
    // A proxy must pass on each event as it comes.
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
    response.write(`retry: ${RETRY_MS}\n\n`)
    const room = this.#roomOf(key, tenant)
    const viewer: Viewer = { request, response, stuckSince: undefined }
    room.viewers.add(viewer)
    response.once('close', () => this.#leave(room, viewer))
    if (this.#stopped) return void response.end()
    for (const [topic, text] of room.last) this.#send(viewer, topic.event, text)
    void this.runOnce().catch(() => {})
    this.#loop.start()
  }

  /** Ends every stream. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const { viewers } of this.#rooms.values()) {
      for (const { response } of viewers) response.end()
    }
    const reading = [...this.#rooms.values()].flatMap((room) => [...room.reading.values()])
    await Promise.all([this.#loop.stop(), ...reading])
  }

  /** Begins what is due and waits for none of it: without the store an answer takes seconds, and the others must not be late. */
  async runOnce(): Promise<void> {
    const now = performance.now()
    const isBeat = now - this.#beatAt >= HEARTBEAT_MS
    if (isBeat) this.#beatAt = now
    for (const room of this.#rooms.values()) this.#serve(room, now, isBeat)
  }

  #roomOf(key: ApiKey, tenant: string): Room {
    const rights = [...key.scopes].toSorted().join('+')
    const tenants = key.tenants === '*' ? '*' : [...key.tenants].toSorted().join('+')
    const name = `${tenant} ${rights}@${tenants}`
    let room = this.#rooms.get(name)
    if (room === undefined) {
      room = {
        tenant,
        viewers: new Set(),
        readAt: new Map(),
        last: new Map(),
        reading: new Map(),
        looking: undefined,
      }
      this.#rooms.set(name, room)
    }
    return room
  }

  #leave(room: Room, viewer: Viewer): void {
    room.viewers.delete(viewer)
    if (room.viewers.size > 0) return
    for (const [name, known] of this.#rooms) if (known === room) this.#rooms.delete(name)
    if (this.#rooms.size === 0) void this.#loop.stop()
  }

  #serve(room: Room, now: number, isBeat: boolean): void {
    if (isBeat) for (const { response } of room.viewers) response.write(': \n\n')
    room.looking ??= this.#look(room).finally(() => {
      room.looking = undefined
    })
    const { looking, reading } = room
    const idle = topics.filter((topic) => !reading.has(topic))
    for (const topic of planReads(idle, room.readAt, now)) {
      const seen = topic.isOpen === true ? Promise.resolve() : looking
      const done = seen
        .then(() => this.#read(room, topic))
        .catch((error: unknown) => this.#log.error({ err: error }, 'dashboard: a read failed'))
        .finally(() => reading.delete(topic))
      reading.set(topic, done)
    }
  }

  /** Lets go who is not logged in any more. */
  async #look(room: Room): Promise<void> {
    await Promise.all(
      [...room.viewers].map(async (viewer) => {
        if (!(await this.#isStillIn(viewer))) this.#end(room, viewer)
      }),
    )
  }

  /** Without the store nobody can be told apart; whoever was in stays until it is back. */
  async #isStillIn({ request }: Viewer): Promise<boolean> {
    try {
      const key = await this.#app.auth.identify(request)
      return key?.allows('ops:read') === true
    } catch (error) {
      return !isKnellError(error, 'forbidden')
    }
  }

  #end(room: Room, viewer: Viewer): void {
    room.viewers.delete(viewer)
    viewer.response.end(`event: ended\ndata: {}\n\n`)
  }

  async #read(room: Room, topic: Topic): Promise<void> {
    const [viewer] = room.viewers
    if (viewer === undefined) return
    const { payload, statusCode } = await this.#app.inject({
      url: topic.url(room.tenant),
      headers: this.#ownRead(viewer.request),
      remoteAddress: viewer.request.socket.remoteAddress ?? '127.0.0.1',
    })
    // A problem document is one line of JSON as well; only health is told by its status.
    const isFine = statusCode < 400 || topic.event === 'health'
    const text = isFine ? payload : `{"problem":${payload === '' ? '{}' : payload}}`
    room.last.set(topic, text)
    for (const each of room.viewers) this.#send(each, topic.event, text)
  }

  #send(viewer: Viewer, event: string, text: string): void {
    const { response } = viewer
    if (response.writableNeedDrain) {
      viewer.stuckSince ??= performance.now()
      if (performance.now() - viewer.stuckSince > STUCK_MS) response.destroy()
      return
    }
    viewer.stuckSince = undefined
    this.#lastId += 1
    response.write(`id: ${this.#lastId}\nevent: ${event}\ndata: ${text}\n\n`)
  }
}
