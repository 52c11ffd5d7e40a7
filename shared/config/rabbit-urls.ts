/** A user and a password, decoded. */
export interface Login {
  readonly user: string
  readonly password: string
}

/** Where to ask over HTTP about the queues of one virtual host. */
export interface HttpTarget {
  /** Without user and password. */
  readonly url: URL
  readonly login: Login | undefined
  readonly vhost: string
}

/** The virtual host of an AMQP URL: `/` where it names none. */
export function vhostOf(amqpUrl: string): string {
  const path = new URL(amqpUrl).pathname.slice(1)
  return path === '' ? '/' : decode(path)
}

/** Reads the URL of RabbitMQ's management API; without a user in it, that of the AMQP URL logs in. Undefined where it is none. */
export function parseManagementUrl(text: string, amqpUrl: string): HttpTarget | undefined {
  const target = parsePrometheusUrl(text, amqpUrl)
  if (target === undefined) return undefined
  return { ...target, login: target.login ?? loginOf(new URL(amqpUrl)) ?? GUEST }
}

/** Reads the URL of RabbitMQ's Prometheus plugin, which asks for no login unless something in front of it does. */
export function parsePrometheusUrl(text: string, amqpUrl: string): HttpTarget | undefined {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined
  const url = new URL(text)
  const login = loginOf(url)
  url.username = ''
  url.password = ''
  url.search = ''
  url.hash = ''
  return { url, login, vhost: vhostOf(amqpUrl) }
}

/** Who logs in where an AMQP URL names nobody. */
const GUEST: Login = { user: 'guest', password: 'guest' }

function loginOf({ username, password }: URL): Login | undefined {
  return username === '' ? undefined : { user: decode(username), password: decode(password) }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
