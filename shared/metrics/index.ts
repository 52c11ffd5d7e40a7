export {
  createSubscriberMetrics,
  type SubscriberMetrics,
  type SubscriberMetricsOptions,
} from './subscriber-metrics.ts'
