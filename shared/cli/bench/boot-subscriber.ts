import type * as Knell from '../../subscriber/index.ts'

/** A consuming process, from start to a view that is ready. Tells its parent when it is, and ends when told to. */
const [amqp = '', namespace = '', url = '', apiKey = ''] = process.argv.slice(2)
// As a service imports it, so that it loads what a service loads.
const library: string = 'knell/subscriber'
const { connect } = (await import(library)) as typeof Knell
await connect({ service: 'bench', amqp, namespace, pull: [url], apiKey })
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
