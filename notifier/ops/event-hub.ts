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
/** One that does not take the end of its stream for this long is cut off. */
const PARTING_MS = 2000

interface Viewer {
  readonly request: FastifyRequest
  readonly response: ServerResponse
  stuckSince: number | undefined
}

/** Viewers who may see the same of the same tenant share what is read for them. */
interface Room {
  readonly name: string
  readonly tenant: string
  readonly viewers: Set<Viewer>
  readonly readAt: Map<Topic, number>
  readonly last: Map<Topic, string>
  /** What is being read, so that one that is slow is not asked for twice and holds up no other. */
  readonly reading: Map<Topic, Promise<void>>
  /** The look under way at who is still logged in. */
  looking: Promise<Viewer[]> | undefined
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

  /** How many look now. */
  get viewers(): number {
    return [...this.#rooms.values()].reduce((count, { viewers }) => count + viewers.size, 0)
  }

  add(request: FastifyRequest, reply: FastifyReply, key: ApiKey, tenant: string): void {
    reply.hijack()
    const { raw: response } = reply
    // Gone while its session was read; nothing would tell of its end again.
    if (response.closed || response.destroyed) return
    // For as long as it lasts: a socket that breaks is no fault, and its 'close' follows.
    response.on('error', () => {})
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) response.setHeader(name, value)
    }
    // A proxy must pass on each event as it comes.
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
    response.write(`retry: ${RETRY_MS}\n\n`)
    if (this.#stopped) return void response.end()
    const room = this.#roomOf(key, tenant)
    const viewer: Viewer = { request, response, stuckSince: undefined }
    room.viewers.add(viewer)
    response.once('close', () => this.#leave(room, viewer))
    for (const [topic, text] of room.last) this.#send(viewer, topic.event, text)
    void this.runOnce().catch(() => {})
    this.#loop.start()
  }

  /** Ends every stream. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const room of this.#rooms.values()) {
      for (const viewer of room.viewers) this.#end(room, viewer)
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
    const name = nameOf(key, tenant)
    let room = this.#rooms.get(name)
    if (room === undefined) {
      room = {
        name,
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
    if (room.viewers.size > 0 || this.#rooms.get(room.name) !== room) return
    this.#rooms.delete(room.name)
    if (this.#rooms.size === 0) void this.#loop.stop()
  }

  #serve(room: Room, now: number, isBeat: boolean): void {
    for (const viewer of isBeat ? room.viewers : []) {
      if (isOpen(viewer) && !viewer.response.writableNeedDrain) viewer.response.write(': \n\n')
    }
    room.looking ??= this.#look(room).finally(() => {
      room.looking = undefined
    })
    const { looking, reading } = room
    const idle = topics.filter((topic) => !reading.has(topic))
    for (const topic of planReads(idle, room.readAt, now)) {
      const inside = topic.isOpen === true ? Promise.resolve([...room.viewers]) : looking
      const done = inside
        .then((viewers) => this.#read(room, topic, viewers))
        .catch((error: unknown) => this.#log.error({ err: error }, 'dashboard: a read failed'))
        .finally(() => reading.delete(topic))
      reading.set(topic, done)
    }
  }

  /** Who is still logged in; lets go who is not. */
  async #look(room: Room): Promise<Viewer[]> {
    const viewers = [...room.viewers]
    const may = await Promise.all(viewers.map((viewer) => this.#mayStay(room, viewer)))
    return viewers.filter((_, at) => may[at])
  }

  /**
   * Lets go whoever is out. Without the store nobody can be told apart; whoever was in stays until
   * it is back. Whose rights have changed comes again by itself, to the room of the new ones.
   */
  async #mayStay(room: Room, viewer: Viewer): Promise<boolean> {
    try {
      const key = await this.#app.auth.identify(viewer.request)
      if (key?.allows('ops:read') !== true) this.#end(room, viewer, 'event: ended\ndata: {}\n\n')
      else if (nameOf(key, room.tenant) !== room.name) this.#end(room, viewer)
      else return true
      return false
    } catch (error) {
      if (!isKnellError(error) || error.status >= 500) return true
      this.#end(room, viewer, 'event: ended\ndata: {}\n\n')
      return false
    }
  }

  /** The room is left at once: the 'close' of a viewer that does not read may never come. */
  #end(room: Room, viewer: Viewer, last = ''): void {
    this.#leave(room, viewer)
    if (!isOpen(viewer)) return
    const { response } = viewer
    const timer = setTimeout(() => response.destroy(), PARTING_MS).unref()
    response.once('close', () => clearTimeout(timer))
    response.end(last)
  }

  /** Reads with the first viewer whose session has not ended meanwhile, which says nothing about the others. */
  async #read(room: Room, topic: Topic, inside: readonly Viewer[]): Promise<void> {
    for (const { request } of inside) {
      const { payload, statusCode } = await this.#app.inject({
        url: topic.url(room.tenant),
        headers: this.#ownRead(request),
        remoteAddress: request.socket.remoteAddress ?? '127.0.0.1',
      })
      if (statusCode === 401) continue
      // A problem document is one line of JSON as well; only health is told by its status.
      const isFine = statusCode < 400 || topic.event === 'health'
      const text = isFine ? payload : `{"problem":${payload === '' ? '{}' : payload}}`
      room.last.set(topic, text)
      for (const each of room.viewers) this.#send(each, topic.event, text)
      return
    }
  }

  #send(viewer: Viewer, event: string, text: string): void {
    if (!isOpen(viewer)) return
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

/** What may be seen: viewers with the same are served with the same reads. */
function nameOf(key: ApiKey, tenant: string): string {
  const rights = [...key.scopes].toSorted().join('+')
  const tenants = key.tenants === '*' ? '*' : [...key.tenants].toSorted().join('+')
  return `${tenant} ${rights}@${tenants}`
}

function isOpen({ response }: Viewer): boolean {
  return !response.writableEnded && !response.destroyed
}
