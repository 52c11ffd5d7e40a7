import type { Issued } from './issuer.ts'
import type { ServiceName } from './messages.ts'
import type { ServiceProcess } from './service-process.ts'

/** One consuming service as its users see it. Both calls answer a decision's code, `active` where all is well. */
export interface Front {
  readonly name: ServiceName
  /** Does with the token what the service is for. */
  use(token: Issued): Promise<string>
  /** What the service makes of it now. */
  ask(token: Issued): Promise<string>
}

export const createFront: Readonly<Record<ServiceName, (service: ServiceProcess) => Front>> = {
  api: apiFront,
  worker: workerFront,
  sessions: sessionsFront,
}

/** Each request stands for itself, so to use and to ask are the same. */
function apiFront(service: ServiceProcess): Front {
  const request = async ({ token }: Issued): Promise<string> => {
    const response = await get(service, token)
    const code = await codeOf(response)
    // A service that refuses with one voice and accepts with the other has refused.
    return (response.status === 200) === (code === 'active') ? code : `${response.status} ${code}`
  }
  return { name: service.name, use: request, ask: request }
}

function workerFront(service: ServiceProcess): Front {
  return {
    name: service.name,
    use: async ({ token }) => String(await service.ask({ ask: 'work', token })),
    ask: async ({ jti }) => String(await service.ask({ ask: 'job', jti })),
  }
}

/** What counts is what the user sees: the stream is open, or what the service said at its end. */
function sessionsFront(service: ServiceProcess): Front {
  const streams = new Map<string, string>()

  async function follow(jti: string, response: Response): Promise<void> {
    let text = ''
    try {
      const decoder = new TextDecoder()
      for await (const chunk of response.body ?? []) text += decoder.decode(chunk as Uint8Array)
    } catch {
      // A stream that breaks off has ended as well, only without a word.
    }
    streams.set(jti, /event: bye\ndata: \{"code":"(\w+)"\}/.exec(text)?.[1] ?? 'broken off')
  }

  return {
    name: service.name,
    async use({ jti, token }) {
      const response = await get(service, token)
      if (response.status !== 200) return codeOf(response)
      streams.set(jti, 'active')
      void follow(jti, response)
      return 'active'
    },
    ask: async ({ jti }) => streams.get(jti) ?? 'no session',
  }
}

async function get({ port }: ServiceProcess, token: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}/`, { headers: { authorization: `Bearer ${token}` } })
}

async function codeOf(response: Response): Promise<string> {
  return String(((await response.json()) as { code?: unknown }).code)
}
