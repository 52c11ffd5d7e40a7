/* oxlint-disable typescript/no-extraneous-class -- Nest takes its modules and controllers as classes. */
import 'reflect-metadata'
import {
  Controller,
  Get,
  Injectable,
  Module,
  Req,
  Res,
  UseGuards,
  type DynamicModule,
  type INestApplication,
  type Type,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { expect } from 'chai'
import { createServer } from 'node:http'
import { ExpressAdapter } from '@nestjs/platform-express'
import type { ServerResponse } from 'node:http'
import {
  endOnDeath,
  KnellGuard,
  KnellModule,
  KnellPolicy,
  KnellPublic,
  type GuardSubscriber,
  type KnellNestOptions,
  type RoutePolicy,
} from '../../../shared/frameworks/nest.ts'
import { guardContract, policies, seen, type App } from '../../support/guard-contract.ts'
import { get } from '../../support/http-call.ts'

type Seen = Parameters<typeof seen>[0]
type Handler = (
  request: Seen & { knell?: { signal: AbortSignal } },
  response: ServerResponse,
) => unknown

interface Route {
  readonly path: string
  readonly handler: Handler
  readonly marks?: readonly MethodDecorator[]
  readonly takesResponse?: boolean
}

/** What decorators would do, which the compiler takes none of here. */
function controllerOf(routes: readonly Route[], marks: readonly ClassDecorator[] = []): Type {
  class Routes {}
  for (const [
    index,
    { path, handler, marks: own = [], takesResponse = false },
  ] of routes.entries()) {
    const name = `route${index}`
    Object.defineProperty(Routes.prototype, name, { value: handler, writable: true })
    Req()(Routes.prototype, name, 0)
    if (takesResponse) Res()(Routes.prototype, name, 1)
    const descriptor = Object.getOwnPropertyDescriptor(Routes.prototype, name) as PropertyDescriptor
    for (const mark of [Get(path), ...own]) mark(Routes.prototype, name, descriptor)
  }
  for (const mark of [...marks, Controller()]) mark(Routes)
  return Routes
}

const routes: readonly Route[] = [
  ...Object.entries(policies).map(([path, policy]) => ({
    path,
    handler: (request: Seen) => seen(request),
    marks: policy === undefined ? [] : [KnellPolicy(policy as RoutePolicy)],
  })),
  { path: '/public', handler: () => ({}), marks: [KnellPublic()] },
  {
    path: '/events',
    takesResponse: true,
    handler(request, response) {
      if (request.knell === undefined) throw new Error('no token')
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: hello\n\n')
      endOnDeath(response, request.knell.signal, { exposeReason: true })
    },
  },
]

function appModule(knell: DynamicModule, controllers: Type[]): Type {
  class AppModule {}
  Module({ imports: [knell], controllers })(AppModule)
  return AppModule
}

async function listen(module: Type): Promise<App> {
  const adapter = new ExpressAdapter()
  const app: INestApplication = await NestFactory.create(module, adapter, {
    logger: false,
    forceCloseConnections: true,
    abortOnError: false,
  })
  await app.init()
  const server = createServer({ maxHeaderSize: 32_768 }, adapter.getInstance())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
      await app.close()
    },
  }
}

guardContract(
  'NestJS 12',
  (options) =>
    listen(appModule(KnellModule.forRoot(options as KnellNestOptions), [controllerOf(routes)])),
  { public: true },
)

guardContract(
  'NestJS 12, with options from a factory, controller by controller',
  (options) => {
    class Settings {
      readonly options = options as KnellNestOptions
    }
    Injectable()(Settings)
    class SettingsModule {}
    Module({ providers: [Settings], exports: [Settings] })(SettingsModule)
    const module = KnellModule.forRootAsync({
      imports: [SettingsModule],
      inject: [Settings],
      useFactory: async (settings: Settings) => Promise.resolve(settings.options),
      global: false,
    })
    const open = controllerOf([{ path: '/public', handler: () => ({}) }])
    const guarded = routes.filter(({ path }) => path !== '/public')
    return listen(appModule(module, [open, controllerOf(guarded, [UseGuards(KnellGuard)])]))
  },
  { public: true },
)

describe('knell/nest', () => {
  const subscriber: GuardSubscriber = {
    verify: () => Promise.reject(new Error('not here')),
    policy: (policy) => policy as never,
    signal: () => AbortSignal.abort(),
  }

  it('does not start with unusable options', async () => {
    expect(() => KnellModule.forRoot({ subscriber, realms: 'x' } as never)).to.throw(
      TypeError,
      'realms is not an option; is it realm?',
    )
    expect(() => KnellPolicy({ whenStale: 'never' as never })).to.throw(TypeError, 'whenStale must')
    const module = KnellModule.forRootAsync({ useFactory: () => ({ realm: 'x' }) as never })
    let problem: unknown
    await listen(appModule(module, [])).catch((error: unknown) => void (problem = error))
    expect(String(problem)).to.contain('subscriber must be')
  })

  it('takes the policy nearest to the handler, and a public controller with a guarded route', async () => {
    const controller = controllerOf(
      [
        { path: '/open', handler: () => 'x' },
        { path: '/closed', handler: () => 'x', marks: [KnellPolicy({})] },
      ],
      [KnellPublic()],
    )
    const app = await listen(appModule(KnellModule.forRoot({ subscriber }), [controller]))
    expect((await get(`${app.url}/open`)).status).to.equal(200)
    expect((await get(`${app.url}/closed`)).status).to.equal(401)
    await app.close()
  })
})
