import { openProxy, type Proxy } from '../../shared/testing/tcp-proxy.ts'

/** A proxy in front of what a URL names, with the URL that goes through it. */
export async function openProxyTo(url: string): Promise<Proxy & { readonly through: string }> {
  const { hostname, port } = new URL(url)
  const proxy = await openProxy({ target: { host: hostname, port: Number(port) } })
  return { ...proxy, through: proxy.url(url) }
}
