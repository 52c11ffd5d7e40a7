import { freePort } from '../../shared/cli/engines/free-port.ts'
import type { PrivateEngine } from '../../shared/cli/engines/private-engine.ts'
import { startRabbit } from '../../shared/cli/engines/private-rabbit.ts'

/** A RabbitMQ of our own with the management API and the Prometheus plugin, both on loopback. */
export async function startMonitoredRabbit(
  args: readonly string[] = [],
): Promise<{ rabbit: PrivateEngine; management: string; prometheus: string }> {
  const [management, prometheus] = [await freePort(), await freePort()]
  const listener = (port: number): string => `[{port,${port}},{ip,"127.0.0.1"}]`
  const rabbit = await startRabbit({
    plugins: ['rabbitmq_management', 'rabbitmq_prometheus'],
    args: [
      `-rabbitmq_management listener ${listener(management)}`,
      `-rabbitmq_prometheus tcp_config ${listener(prometheus)}`,
      ...args,
    ],
  })
  return {
    rabbit,
    management: `http://127.0.0.1:${management}`,
    prometheus: `http://127.0.0.1:${prometheus}`,
  }
}
