export * from './subscriber/index.ts'
