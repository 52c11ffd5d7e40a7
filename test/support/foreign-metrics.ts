/** Metrics that rules and dashboard use and Knell does not make: who does, and that they are needed. */
export const foreignMetrics: Readonly<
  Record<string, 'prometheus' | 'rabbitmq' | 'redis_exporter'>
> = {
  // Prometheus itself, of each target and of each alert.
  up: 'prometheus',
  ALERTS: 'prometheus',
  // RabbitMQ's Prometheus plugin, at /metrics; a test looks whether a real one has them.
  rabbitmq_alarms_memory_used_watermark: 'rabbitmq',
  rabbitmq_alarms_free_disk_space_watermark: 'rabbitmq',
  rabbitmq_alarms_file_descriptor_limit: 'rabbitmq',
  rabbitmq_global_messages_redelivered_total: 'rabbitmq',
  rabbitmq_global_messages_dead_lettered_delivery_limit_total: 'rabbitmq',
  rabbitmq_global_messages_dead_lettered_maxlen_total: 'rabbitmq',
  // The exporter of Redis, where there is one: Knell sees the policy, not what was evicted.
  redis_evicted_keys_total: 'redis_exporter',
}
