import { connect } from 'amqplib'

/**
 * The floor of a consuming process, from start to ready: amqplib with a queue of its own, bound and
 * consumed. Tells its parent when it is ready, and ends when told to.
 */
const [url = '', exchange = ''] = process.argv.slice(2)
const model = await connect(url, { noDelay: true, timeout: 5000 })
const channel = await model.createChannel()
const { queue } = await channel.assertQueue('', { exclusive: true })
await channel.bindQueue(queue, exchange, '#')
await channel.prefetch(500)
await channel.consume(queue, (message) => {
  if (message !== null) channel.ack(message)
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
